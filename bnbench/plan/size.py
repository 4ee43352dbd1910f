"""How large a network is, and how long a run of it takes alone, roughly."""

from __future__ import annotations

import torch
from torch import nn

from bnbench.components import Components
from bnbench.data import Data, order_of
from bnbench.spec import RunSpec
from bnbench.training.timeline import timeline_of

STEP_SECONDS, VALUE_SECONDS = 4e-4, 1e-8
"""What a step of a run alone costs on a core whatever it holds, and for each value that its layers put out, roughly."""


def seconds_alone(spec: RunSpec, components: Components, data: Data) -> float:
    """Seconds that torch takes for a run alone on a core, roughly."""
    values = lane_bytes(spec, components, data) / 4
    return timeline_of(spec, order_of(spec, data.train)).total * (STEP_SECONDS + values * VALUE_SECONDS)


def least_bytes(spec: RunSpec, components: Components, data: Data) -> int:
    """Bytes without which a GPU cannot train a run: examples, weights and gradients, and half of a step's outputs.

    The other half may be written over the first.
    """
    examples = sum(part.x.nbytes + part.y.nbytes for part in (data.train, data.validation, data.test))
    weights = sum(parameter.nbytes for parameter in components.build(spec, data).parameters())
    return examples + 2 * weights + lane_bytes(spec, components, data) // 2


def lane_bytes(spec: RunSpec, components: Components, data: Data) -> int:
    """Bytes of what the layers of a network put out for a batch."""
    return 4 * spec.batch_size * activations(components.build(spec, data), data.shape)


@torch.no_grad()
def activations(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Values that the leaves of a network put out for one example of ``shape`` (C, H, W)."""
    counted: list[int] = []
    hooks = [
        leaf.register_forward_hook(lambda module, inputs, output: counted.append(output.numel()))
        for leaf in network.modules()
        if not list(leaf.children())
    ]
    network.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return sum(counted)
