"""Obstacles, for which specs cannot be trained at all: found before training, by showing the network one batch.

Large batches are shown on torch's meta device, where nothing is computed; small ones on the CPU, which is quicker than
what torch loads at the first use of meta tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from bnbench.components import Components
from bnbench.data import Augmentation, Data, Examples, Order, order_of
from bnbench.error_origin import foreign_line, is_foreign
from bnbench.errors import Impossible, InvalidRequest, lacks_memory, message_of
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
from bnbench.plan.contract import (
    limited_parameters,
    require_logits,
    require_statistics,
    settings_of_statistics,
    with_checked_norm,
    wrong_axes,
)
from bnbench.plan.examination import TOO_LARGE
from bnbench.plan.vectors import unfit_data
from bnbench.spec import MOST_STEPS, RunSpec, arm, common_split
from bnbench.text import plural
from bnbench.training.forward import dtype_of
from bnbench.training.timeline import timeline_of

TORCH_ONE_VALUE = "Expected more than 1 value per channel"
"""Words in which torch's batch norm refuses a batch; a plugin's norm that uses it is refused with the same words."""
TORCH_NO_VALUES = "cannot be called on meta tensors"

SMALL = 2**14
"""Elements of a batch that is cheap to compute."""

STAND_IN = (3, 32, 32), 10
"""Shape and classes of images that nearly every network takes."""
CHANNELS = 64
"""Features that nearly every norm takes."""

Refusal = Callable[[RunSpec, Data, int], str | None]
"""Why a network refuses a training batch of so many examples."""


def obstacles(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    refusal: Refusal | None = None,
) -> dict[str, str]:
    """By run_id, why a spec cannot be trained; specs that differ only in lr, seed or the like are tried once.

    Args:
        refusal: of :func:`remembered_refusals`, for several calls.
    """
    refusal = refusal or remembered_refusals(components)
    tried: dict[tuple[object, ...], tuple[str | None, Order]] = {}
    found = {}
    for number, (identity, spec) in enumerate(specs.items(), 1):
        key = network_key(spec)
        if key not in tried:
            step(f"trying {arm(spec)} batch_size={spec.batch_size} (run {number} of {len(specs)})")
            loaded = data(spec)
            order = order_of(spec, loaded.train)
            tried[key] = _obstacle(spec, refusal, loaded, order), order
        reason, order = tried[key]
        reason = reason or _too_long(spec, order) or _frozen_too_late(spec, order)
        if reason is not None:
            found[identity] = reason
    return found


def network_key(spec: RunSpec) -> tuple[object, ...]:
    """All that decides if a network takes its batches: equal for specs that differ only in lr, seed or the like."""
    order_key = (spec.domains, spec.batches, spec.batch_size, spec.devices, spec.drop_last)
    data_key = (spec.dataset, common_split(spec), order_key, spec.precision)
    return spec.norm, spec.model, spec.train, settings_of_statistics(spec), data_key


def wrong_options(specs: Mapping[str, RunSpec], components: Components) -> list[str]:
    """Faults of the options of norms and models whatever the data hold, which need not be there."""
    shape, classes = STAND_IN
    few = Examples(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.long))
    mean, std = torch.zeros(shape[0]), torch.ones(shape[0])
    stand_in = Data(few, few, few, classes, mean, std, Augmentation())
    found: dict[str, None] = {}
    for spec in {(spec.norm, spec.model, spec.train): spec for spec in specs.values()}.values():
        norm = partial(components.registries["norm"][spec.norm.name], CHANNELS, **spec.norm.options)
        for build in (norm, partial(components.build, spec, stand_in)):  # a norm is asked whatever becomes of the model
            try:
                with preserved_global_state(), torch.device("meta"), limited_parameters():
                    build()
            except InvalidRequest as error:
                found |= dict.fromkeys(error.problems)
            except KeyboardInterrupt:
                raise
            except BaseException:  # which other data may not raise
                continue
    return list(found)


def last_batch(spec: RunSpec, data: Data) -> int:
    """Examples of the last batch of an epoch if it is a smaller one, to which the run comes; else 0."""
    comes = spec.steps is None or spec.steps * spec.batch_size >= len(data.train)
    return len(data.train) % spec.batch_size if comes and not spec.drop_last and spec.batches == "shuffled" else 0


def smallest_parts(spec: RunSpec, data: Data) -> list[int]:
    """The sizes of batches that a device is given at least: of a whole batch, and of a smaller one at its end."""
    return [spec.part(batch) for batch in (spec.batch_size, last_batch(spec, data)) if batch]


def _too_long(spec: RunSpec, order: Order) -> str | None:
    """Why the steps of an allowed number of epochs are too many, if they are."""
    if spec.epochs is None or spec.epochs > MOST_STEPS or (steps := timeline_of(spec, order).total) <= MOST_STEPS:
        return None
    return f"epochs={spec.epochs}: makes {steps:,} steps; at most {MOST_STEPS:,}"


def _frozen_too_late(spec: RunSpec, order: Order) -> str | None:
    """Why statistics would never be frozen, if they would not."""
    if spec.freeze_statistics is None:
        return None
    last = (timeline_of(spec, order).total - 1) // order.steps
    if spec.freeze_statistics <= last:
        return None
    allowed = f"at most {last} here" if last else "null here, as there is one epoch"
    return f"freeze_statistics={spec.freeze_statistics}: training ends before that many epochs; must be {allowed}"


def remembered_refusals(components: Components) -> Refusal:
    """See :func:`_refusal`; trials of one :func:`trial_key` are made once."""
    tried: dict[tuple[object, ...], str | None] = {}

    def refusal(spec: RunSpec, data: Data, batch: int) -> str | None:
        key = (trial_key(spec, data, batch), settings_of_statistics(spec))
        if key not in tried:
            tried[key] = _refusal(spec, components, data, batch)
        return tried[key]

    return refusal


def trial_key(spec: RunSpec, data: Data, batch: int) -> tuple[object, ...]:
    """Equal where one network meets batches of one shape, whatever the split that they come from."""
    return spec.norm, spec.model, spec.train, spec.dataset, spec.precision, data.shape, data.classes, batch


def _obstacle(spec: RunSpec, refusal: Refusal, data: Data, order: Order) -> str | None:
    if spec.batch_size > order.largest_batch:
        return _too_large(spec, order.largest_batch)
    remainder = last_batch(spec, data)
    for batch in filter(None, (spec.batch_size, remainder)):
        reason = _refusal_of_parts(spec, refusal, data, batch)
        if reason is not None and batch == remainder:
            count = plural(remainder, "example")
            return f"the last batch of an epoch has {count}; {reason} (drop_last=true leaves it out)"
        if reason is not None:
            return reason
    return None


def _refusal_of_parts(spec: RunSpec, refusal: Refusal, data: Data, batch: int) -> str | None:
    """Why the network refuses a training batch that is shared out among the devices."""
    if spec.devices < 1 or spec.batch_size % spec.devices:
        return None  # which is told already
    if batch < spec.devices:
        return f"devices={spec.devices} leaves some devices without any"
    part = batch if spec.norm.name == "sync" else spec.part(batch)  # it sees all parts together
    reason = refusal(spec, data, part)
    if reason is None or part == batch:
        return reason
    return f"with devices={spec.devices}, a device has {plural(part, 'example')} of {batch}; {reason}"


def _too_large(spec: RunSpec, largest: int) -> str:
    """A sentence that says for what a batch is too large."""
    if spec.batches == "shuffled":
        return f"the batch is larger than the training set of {plural(largest, 'example')}"
    group = "class" if spec.batches == "single_class" else "domain"
    smallest = f"the smallest {group}, which has {plural(largest, 'training example')}"
    return f"batches={spec.batches}: the batch is larger than {smallest}"


@preserved_global_state()
def _refusal(spec: RunSpec, components: Components, data: Data, batch: int, small: int = SMALL) -> str | None:
    """Why the network refuses a training batch; one of at most ``small`` elements is computed."""
    if reason := unfit_data(spec, components):
        return reason
    x_NCHW = torch.empty(batch, *data.shape, device="meta", dtype=dtype_of(spec))
    if x_NCHW.numel() <= small:
        x_NCHW = torch.zeros(batch, *data.shape, dtype=dtype_of(spec))
    norms: list[nn.Module] = []
    inside: list[Tensor] = []
    checked = with_checked_norm(components, spec.norm.name, norms, inside)
    try:
        with ExitStack() as stack:
            for context in (torch.no_grad(), x_NCHW.device, limited_parameters()):
                stack.enter_context(context)
            network = checked.build(spec, data).to(dtype_of(spec))
            for training in (True, False):
                require_logits(spec.model.name, network.train(training)(x_NCHW), batch, data.classes, *data.label_shape)
            require_statistics(spec, network, norms, x_NCHW)
    except (Impossible, InvalidRequest) as error:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if x_NCHW.is_meta and TORCH_NO_VALUES in message_of(
            error
        ):  # as torch's batch norm with momentum=None asks for one
            return _refusal(spec, components, data, batch, x_NCHW.numel())
        wrong = isinstance(error, Exception) and inside and components.uses_plugin(norm=spec.norm.name)
        return (wrong_axes(spec, components, inside[-1]) if wrong else None) or _unexpected(error, spec, data)
    return None


def _unexpected(error: BaseException, spec: RunSpec, data: Data) -> str | None:
    """The reason in an error that no component meant for a user.

    One of a user's own code is left to its run, which then fails alone and keeps the traceback, unless it would end
    the process.
    """
    reason = message_of(error).partition("\n")[0].rstrip(".!")
    if TORCH_ONE_VALUE in reason:
        return reason
    if not isinstance(error, Exception):
        return f"the network raised {type(error).__name__}: {reason}{foreign_line(error)}"
    if is_foreign(error):
        return None
    if lacks_memory(error):
        return TOO_LARGE
    height, width = data.shape[1:]
    smaller = "model.name=resnet18 model.small_image_stem=true"
    remedy = f"; use larger images, or {smaller}" if spec.model.name == "torchvision" else ""
    return f"the network fails on images of {height}x{width} ({type(error).__name__}: {reason}){remedy}"
