"""Which specs can be trained at all: found before training, by showing the network one batch.

Large batches are shown on torch's meta device, where nothing is computed; small ones on the CPU, which is quicker than
what torch loads at the first use of meta tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bnbench.components import Components
from bnbench.data import Data
from bnbench.errors import Impossible, InvalidRequest
from bnbench.spec import RunSpec

TORCH_ONE_VALUE = "Expected more than 1 value per channel"
"""How torch's own batch norm refuses a batch; a plugin's norm that uses it is refused with the same words."""

SMALL = 2**14
"""Elements of a batch that is cheap to compute."""


def obstacles(specs: Mapping[str, RunSpec], components: Components, data: Callable[[RunSpec], Data]) -> dict[str, str]:
    """By run_id, why a spec cannot be trained; specs that differ only in lr, seed or the like are tried once."""
    tried: dict[tuple[object, ...], str | None] = {}
    found = {}
    for identity, spec in specs.items():
        key = (spec.norm, spec.model, spec.dataset, spec.split, spec.batch_size, spec.drop_last)
        if key not in tried:
            tried[key] = _obstacle(spec, components, data(spec))
        reason = tried[key]
        if reason is not None:
            found[identity] = reason
    return found


def _obstacle(spec: RunSpec, components: Components, data: Data) -> str | None:
    count = len(data.train.y)
    name = f"norm={spec.norm.name} model={spec.model.name} dataset={spec.dataset.name} batch_size={spec.batch_size}"
    if spec.batch_size > count:
        return f"{name}: the batch is larger than the training set of {count} examples"
    reason = _refusal(spec, components, data, spec.batch_size)
    if reason is not None:
        return f"{name}: {reason}"
    remainder = 0 if spec.drop_last else count % spec.batch_size
    reason = _refusal(spec, components, data, remainder) if remainder else None
    if reason is not None:
        return f"{name}: the last batch of an epoch has {remainder} examples; {reason} (drop_last=true leaves it out)"
    return None


def _refusal(spec: RunSpec, components: Components, data: Data, batch: int) -> str | None:
    """Why the network refuses a training batch.

    Only what a component says itself counts; an unexpected error of a plugin is left to its run, which then fails
    alone and keeps the traceback.
    """
    x_NCHW = torch.empty(batch, *data.shape, device="meta")
    if x_NCHW.numel() <= SMALL:
        x_NCHW = torch.zeros(batch, *data.shape)
    try:
        with torch.random.fork_rng([]), torch.no_grad(), x_NCHW.device:
            network = components.build(spec, data)
            network.train()(x_NCHW)
            network.eval()(x_NCHW)
    except (Impossible, InvalidRequest) as error:
        return str(error)
    except Exception as error:
        return str(error) if TORCH_ONE_VALUE in str(error) else None
    return None
