"""A step of training on zeros, made before training: a user's code that raises then is to be heard of at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from bnbench.components import Components
from bnbench.data import Data
from bnbench.error_origin import foreign_line, is_foreign
from bnbench.errors import described
from bnbench.global_state import preserved_global_state
from bnbench.plan.contract import limited_parameters
from bnbench.plan.feasibility import SMALL, network_key, smallest_parts, trial_key
from bnbench.spec import RunSpec
from bnbench.text import shortened
from bnbench.training.forward import dtype_of
from bnbench.training.loss import mean_loss

COMPUTED = 2**20
"""Elements of a batch that is computed to confirm what was raised without values."""


def failures(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    raised: dict[object, str | None],
) -> dict[str, str]:
    """By run_id, what a step of a spec with a user's components raises; specs of one network are tried once.

    The runs may be trained all the same, and then fail alone with a traceback: zeros are no images.

    Args:
        specs: that have no obstacle.
        raised: what was tried before, to which is added.
    """
    batches: dict[tuple[object, ...], tuple[Data, list[int]]] = {}
    found: dict[str, str] = {}
    for identity, spec in specs.items():
        if spec.plugin is None:
            continue
        network = network_key(spec)
        if network not in batches:
            batches[network] = (loaded := data(spec)), smallest_parts(spec, loaded)
        loaded, sizes = batches[network]
        for batch in sizes:
            key = (trial_key(spec, loaded, batch), spec.label_smoothing)
            if key not in raised:
                raised[key] = _raised(spec, components, loaded, batch)
            if (reason := raised[key]) is not None:
                found.setdefault(identity, reason)
    return found


def _raised(spec: RunSpec, components: Components, data: Data, batch: int) -> str | None:
    """The error of a step; where only shapes are computed it counts if a batch with values raises one too."""
    elements = torch.Size(data.shape).numel()
    if batch * elements <= SMALL:
        return _raised_on(spec, components, data, batch, "cpu")
    if _raised_on(spec, components, data, batch, "meta") is None:
        return None
    return _raised_on(spec, components, data, max(2, min(batch, COMPUTED // elements)), "cpu")


@preserved_global_state()
def _raised_on(spec: RunSpec, components: Components, data: Data, batch: int, device: str) -> str | None:
    with torch.device(device), limited_parameters():
        try:
            network = components.build(spec, data).to(dtype_of(spec))
            x_NCHW = torch.zeros(batch, *data.shape, dtype=dtype_of(spec))
            labels = torch.zeros(batch, *data.label_shape, dtype=torch.long)
            _step(spec, network.train(), x_NCHW, labels)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's code may raise anything
            if not is_foreign(error):  # as torch's of a change in place, which compiled code may not mind
                return None
            return shortened(described(error).partition("\n")[0]) + foreign_line(error)
    return None


def _step(spec: RunSpec, network: nn.Module, x_NCHW: torch.Tensor, labels: torch.Tensor) -> None:
    """Gradients of a batch, and an evaluation."""
    loss = mean_loss(network(x_NCHW), labels, spec.label_smoothing)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.eval()(x_NCHW)
