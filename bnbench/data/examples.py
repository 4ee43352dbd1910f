"""A dataset as device-resident tensors: its parts, its measures, and how its images are augmented.

N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from bnbench.schema.augmentation import Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Labelled images: some of a source that other parts, and other splits of the same dataset, read as well.

    Attributes:
        source: [M, C, H, W] uint8 or float32.
        y: [N] int64, or of sequences [N, W] int64, a label per position.
        domain: [N] int64, the index of the domain where there are domains.
        positions: [N] int64, the images among the source; None takes all, in their order.
    """

    source: Tensor
    y: Tensor
    domain: Tensor | None = None
    positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: slice | Tensor) -> Examples:
        """Some of the examples."""
        y, domain = self.y[index], None if self.domain is None else self.domain[index]
        if self.positions is not None:
            return Examples(self.source, y, domain, self.positions[index])
        if isinstance(index, slice):
            return Examples(self.source[index], y, domain)
        return Examples(self.source, y, domain, index)

    @property
    def x(self) -> Tensor:
        """[N, C, H, W], the images: a copy, unless they are all of the source."""
        return self.source if self.positions is None else self.source.index_select(0, self.positions)

    @property
    def nbytes(self) -> int:
        """Bytes of the images and labels."""
        return len(self) * self.source[0].nbytes + self.y.nbytes

    def images(self, index_B: Tensor) -> Tensor:
        """[B, C, H, W], the images at some places of 0..N-1, copied."""
        return self.source.index_select(0, index_B if self.positions is None else self.positions[index_B])


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A dataset ready for training.

    Attributes:
        classes: the number of classes.
        mean: [C] float32, of the kept training examples, in the units of ``x``, which are those of the dataset unless
            float32 could not tell its values apart.
        std: [C] float32, population standard deviation of the same; 1 for a constant channel.
        notes: what the user should know although nothing is wrong.
    """

    train: Examples
    validation: Examples
    test: Examples
    classes: int
    mean: Tensor
    std: Tensor
    augmentation: Augmentation
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one example."""
        return cast(tuple[int, int, int], tuple(self.train.source.shape[1:]))

    @property
    def label_shape(self) -> tuple[int, ...]:
        """() where an example has a label; (W,) where each of its positions has one."""
        return tuple(self.train.y.shape[1:])

    @property
    def device(self) -> torch.device:
        """The device of all its tensors."""
        return self.train.y.device

    def to(self, device: torch.device | str) -> Data:
        """The same data on another device."""
        (there,) = to_device([self], device)
        return there


def to_device(data: Sequence[Data], device: torch.device | str) -> list[Data]:
    """Splits of datasets on another device, where they share what they share here: one that is there is the same one.

    Of a source only the images are copied that one of the parts has.
    """
    splits = [split for split in dict.fromkeys(data) if split.device != torch.device(device)]
    parts = [part for split in splits for part in (split.train, split.validation, split.test)]
    sources = {id(part.source): part.source for part in parts}
    copies = {key: _copy([part for part in parts if part.source is source], device) for key, source in sources.items()}

    def there(part: Examples) -> Examples:
        source, place_M = copies[id(part.source)]
        chosen = part.positions if place_M is None or part.positions is None else place_M[part.positions]
        domain, positions = (None if index is None else index.to(device) for index in (part.domain, chosen))
        return Examples(source, part.y.to(device), domain, positions)

    moved = {
        split: replace(
            split,
            train=there(split.train),
            validation=there(split.validation),
            test=there(split.test),
            mean=split.mean.to(device),
            std=split.std.to(device),
        )
        for split in splits
    }
    return [moved.get(split, split) for split in data]


def _copy(parts: Sequence[Examples], device: torch.device | str) -> tuple[Tensor, Tensor | None]:
    """The images of one source that some parts have, on a device, and each one's place there; None: as it was."""
    source = parts[0].source
    used_M = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    for part in parts:
        used_M[slice(None) if part.positions is None else part.positions] = True
    if bool(used_M.all()):
        return source.to(device), None
    return source[used_M].to(device), used_M.cumsum(0) - 1
