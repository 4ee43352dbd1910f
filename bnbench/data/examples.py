"""A dataset as device-resident tensors: its parts, its measures, and how its images are augmented.

N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from bnbench.schema.augmentation import Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """x [N, C, H, W] uint8 or float32, y [N] int64, and the index of the domain [N] int64 where there are domains."""

    x: Tensor
    y: Tensor
    domain: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: slice | Tensor) -> Examples:
        """Some of the examples."""
        return Examples(self.x[index], self.y[index], None if self.domain is None else self.domain[index])

    def to(self, device: torch.device | str) -> Examples:
        """The same examples on another device."""
        domain = None if self.domain is None else self.domain.to(device)
        return Examples(self.x.to(device), self.y.to(device), domain)


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
        return cast(tuple[int, int, int], tuple(self.train.x.shape[1:]))

    def to(self, device: torch.device | str) -> Data:
        """The same data on another device."""
        train, validation, test = (part.to(device) for part in (self.train, self.validation, self.test))
        mean, std = self.mean.to(device), self.std.to(device)
        return replace(self, train=train, validation=validation, test=test, mean=mean, std=std)
