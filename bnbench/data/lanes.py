"""The data of runs that are trained as lanes of one network: each lane has a split of one dataset, lanes share splits.

K lanes, D distinct splits of them, N examples of a part, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bnbench.data.batches import normalize
from bnbench.data.examples import Data, Examples
from bnbench.data.room import room_of


@dataclass(frozen=True, slots=True, eq=False)
class LaneExamples:
    """One part of each lane's data, as training, validation or test examples.

    Attributes:
        joined: the parts of all splits, N examples each, one after the other.
        count: N.
        split_K: int64, the split 0..D-1 of each lane.
        mean_DC: of the training examples of each split.
        std_DC: likewise.
    """

    joined: Examples
    count: int
    split_K: Tensor
    mean_DC: Tensor
    std_DC: Tensor

    @property
    def start_D(self) -> Tensor:
        """[D] int64, the place of each split's first example among the joined ones."""
        return torch.arange(len(self.mean_DC), device=self.split_K.device) * self.count

    @property
    def start_K(self) -> Tensor:
        """[K] int64, the place of each lane's first example among the joined ones."""
        return self.split_K * self.count

    def select(self, index_K: Tensor) -> LaneExamples:
        """The examples of some lanes only; no example changes its place."""
        return replace(self, split_K=self.split_K[index_K])

    def normalize(self, x_MCHW: Tensor, dtype: torch.dtype, steps: int = 1) -> Tensor:
        """Images of so many steps, each as many of one lane after the other, normalized as each lane's split says."""
        mean_KC, std_KC = self.mean_DC, self.std_DC
        if len(mean_KC) > 1:
            mean_KC, std_KC = mean_KC[self.split_K], std_KC[self.split_K]
        x_SKNCHW = torch.unflatten(x_MCHW, 0, (steps, len(self.split_K), -1))
        return normalize(x_SKNCHW, mean_KC[:, None], std_KC[:, None], dtype).flatten(0, 2)

    def normalize_splits(self, x_DNCHW: Tensor, dtype: torch.dtype) -> Tensor:
        """Images of each split, normalized as it says."""
        return normalize(x_DNCHW, self.mean_DC[:, None], self.std_DC[:, None], dtype)


def examples_of_lanes(data: Sequence[Data], parts: Sequence[Examples]) -> LaneExamples:
    """One part of the data of each lane.

    Args:
        data: of each lane; the same object for lanes of one split.
        parts: of each lane's data, equally many examples in all.
    """
    splits = {pair: place for place, pair in enumerate(dict.fromkeys(zip(data, parts, strict=True)))}
    split_K = torch.tensor([splits[pair] for pair in zip(data, parts, strict=True)], device=data[0].device)
    means, deviations = zip(*((split.mean, split.std) for split, _ in splits), strict=True)
    joined = _joined([part for _, part in splits])
    return LaneExamples(joined, len(parts[0]), split_K, torch.stack(means), torch.stack(deviations))


def _joined(parts: Sequence[Examples]) -> Examples:
    """Parts one after the other, without their domains; sources are copied only if there are several."""
    if len(parts) == 1:
        return parts[0]
    sources = list({id(part.source): part.source for part in parts}.values())
    starts, start = {}, 0
    for source in sources:
        starts[id(source)], start = start, start + len(source)
    positions = [
        starts[id(part.source)]
        + (torch.arange(len(part), device=part.y.device) if part.positions is None else part.positions)
        for part in parts
    ]
    source = sources[0] if len(sources) == 1 else _together(sources)
    return Examples(source, torch.cat([part.y for part in parts]), positions=torch.cat(positions))


def _together(sources: Sequence[Tensor]) -> Tensor:
    if sources[0].device.type != "cpu":
        return torch.cat(list(sources))
    together = room_of(sum(map(len, sources)), sources[0])
    for target, source in zip(torch.split(together, [*map(len, sources)]), sources, strict=True):
        target.copy_(source)
    return together
