"""In which order an epoch takes the training examples, and how many steps that makes.

N examples, G groups of examples: classes or domains.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bnbench.data.examples import Examples
from bnbench.errors import InvalidRequest
from bnbench.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Batches of ``count`` examples in random order; the last one of an epoch may be smaller or left out."""

    count: int
    batch_size: int
    drop_last: bool

    @property
    def steps(self) -> int:
        """Batches of an epoch; 0 if all would be dropped."""
        return steps_per_epoch(self.count, self.batch_size, self.drop_last)

    @property
    def largest_batch(self) -> int:
        """The most examples that a batch can have."""
        return self.count

    def draw(self, rng: torch.Generator) -> Tensor:
        """[N] int64, the example at each position of an epoch."""
        return torch.randperm(self.count, generator=rng)


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Batches of examples of one group each, whole ones only.

    An epoch takes the examples of each group in random order. Those that are left of a group when its whole batches are
    full wait for another epoch, which leaves out others.

    Attributes:
        group: [N] int64 on the CPU, the group 0..G-1 of each example.
        groups: G.
        in_turn: the batches come from group 0, 1, ..., G-1, 0 and so on, as many from each as the smallest group has;
            without, all batches come in random order.
    """

    group: Tensor
    groups: int
    batch_size: int
    in_turn: bool

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return int(self._batches().sum())

    @property
    def largest_batch(self) -> int:
        """The most examples that a batch can have if no group may be left out."""
        return int(self._sizes().min())

    def draw(self, rng: torch.Generator) -> Tensor:
        """[steps * batch_size] int64, the example at each position of an epoch."""
        shuffled = torch.randperm(len(self.group), generator=rng)
        by_group = shuffled[self.group[shuffled].argsort(stable=True)]
        parts = torch.split(by_group, self._sizes().tolist())
        batches = self._batches().tolist()
        whole = [part[: count * self.batch_size] for part, count in zip(parts, batches, strict=True)]
        if self.in_turn:
            return torch.stack(whole).view(self.groups, -1, self.batch_size).transpose(0, 1).flatten()
        batch_SB = torch.cat(whole).view(-1, self.batch_size)
        return batch_SB[torch.randperm(len(batch_SB), generator=rng)].flatten()

    def _sizes(self) -> Tensor:
        """[G] int64, the examples of each group."""
        return torch.bincount(self.group, minlength=self.groups)

    def _batches(self) -> Tensor:
        """[G] int64, the batches that an epoch takes of each group."""
        whole_G = self._sizes() // self.batch_size
        return whole_G.min().expand_as(whole_G) if self.in_turn else whole_G


Order = Shuffled | Grouped


def order_of(spec: RunSpec, train: Examples) -> Order:
    """The order in which a run takes its training examples.

    Raises:
        InvalidRequest: batches of one class of examples whose positions have labels.
    """
    match spec.batches:
        case "shuffled":
            return Shuffled(len(train), spec.batch_size, spec.drop_last)
        case "single_class":
            if train.y.ndim > 1:
                raise InvalidRequest(["batches=single_class: text is of no class; set batches=shuffled"])
            return Grouped(train.y.cpu(), int(train.y.max()) + 1, spec.batch_size, in_turn=False)
        case "alternating":
            assert train.domain is not None, "check() wants domains"
            return Grouped(train.domain.cpu(), len(spec.domains), spec.batch_size, in_turn=True)


def steps_per_epoch(n: int, batch_size: int, drop_last: bool) -> int:
    """Batches in ``n`` examples that are taken as they come; 0 if all would be dropped."""
    return n // batch_size if drop_last else -(-n // batch_size)
