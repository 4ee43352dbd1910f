"""A kind of run as it is proved and measured before training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import nn

from bnbench.components import Components
from bnbench.data import Data, order_of
from bnbench.spec import RunSpec
from bnbench.training.timeline import Timeline, timeline_of

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Case:
    """A spec with what its network is built from.

    Attributes:
        data: of the spec, on the CPU.
        device: where it will be trained.
    """

    spec: RunSpec
    components: Components
    data: Data
    device: torch.device = CPU

    def build(self, seed: int | None = None) -> nn.Module:
        """The initialized network, on the CPU; for another seed than the spec's if one is given."""
        spec = self.spec if seed is None else replace(self.spec, seed=seed)
        return self.components.build(spec, self.data)

    @cached_property
    def activations(self) -> int:
        """Values that the network's layers put out for one example."""
        return activations(self.build(), self.data.shape)

    @property
    def timeline(self) -> Timeline:
        """The steps of a run."""
        return timeline_of(self.spec, order_of(self.spec, self.data.train))


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
