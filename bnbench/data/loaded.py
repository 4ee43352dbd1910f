"""A dataset as it was loaded, and its splits, which share its images. N examples, C channels, H rows, W columns."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from bnbench.data.examples import Data, Examples
from bnbench.data.measures import (
    Scale,
    are_counted,
    counts,
    in_float32,
    rounding,
    scale_in_float32,
    statistics,
    statistics_of_counts,
)
from bnbench.data.raw import Raw
from bnbench.data.split import Parts, divide
from bnbench.schema.augmentation import Augmentation
from bnbench.spec import Split

SPLITS = 256
"""Splits of a dataset that are kept: each is a few numbers per example."""


class LoadedDataset:
    """All examples of a dataset; its parts are positions among them.

    Args:
        raw: as a loader gives it.
        augmentation: of its training images.
    """

    def __init__(self, raw: Raw, augmentation: Augmentation) -> None:
        test_x = None if raw.test_x is None else raw.test_x.contiguous()
        self._raw, self._augmentation = replace(raw, train_x=raw.train_x.contiguous(), test_x=test_x), augmentation
        self._on_scale: dict[Scale, Raw] = {}
        self.divided = lru_cache(SPLITS)(self._divided)

    def divide(self, split: Split) -> Parts:
        """The parts of a split.

        Raises:
            InvalidRequest: see :func:`bnbench.data.split.divide`.
        """
        raw = self._raw
        if not raw.sequences:
            return divide(raw.train_y, split, raw.classes, raw.test_x is not None)
        return divide(torch.zeros(len(raw.train_y), dtype=torch.int64), split, (), raw.test_x is not None)

    def _divided(self, split: Split) -> Data:
        parts = self.divide(split)
        raw = self._in_float32(parts.train)
        train, validation = _part(raw, parts.train), _part(raw, parts.validation)
        if parts.test is not None:
            test = _part(raw, parts.test)
        else:
            assert raw.test_x is not None and raw.test_y is not None, "divide() was told of them"
            test = Examples(raw.test_x, raw.test_y)
        mean, std = self._statistics(train)
        return Data(train, validation, test, len(raw.classes), mean, std, self._augmentation, _untested(raw, test))

    def _in_float32(self, training: Tensor) -> Raw:
        """The examples with images of the type that is trained on; splits of one scale share them."""
        raw = self._raw
        if raw.train_x.dtype != torch.float64:
            return raw
        scale = scale_in_float32(raw, self._rounding_C, training)
        if scale not in self._on_scale:
            self._on_scale[scale] = in_float32(raw, scale)
        return self._on_scale[scale]

    @cached_property
    def _rounding_C(self) -> Tensor:
        return rounding(self._raw)

    @cached_property
    def _counts_CV(self) -> Tensor:
        return counts(self._raw.train_x)

    def _statistics(self, train: Examples) -> tuple[Tensor, Tensor]:
        """Mean and deviation of training images; counted by the other images where these are fewer.

        Those of sequences are 0 and 1: they stay as they are.
        """
        if self._raw.sequences:
            channels = train.source.shape[1]
            return torch.zeros(channels), torch.ones(channels)
        if not are_counted(train.source) or 2 * len(train) < len(train.source):
            return statistics(train.source, train.positions)
        is_other = torch.ones(len(train.source), dtype=torch.bool)
        is_other[train.positions] = False
        return statistics_of_counts(self._counts_CV - counts(train.source, is_other.nonzero().flatten()))


def _part(raw: Raw, positions: Tensor) -> Examples:
    return Examples(raw.train_x, raw.train_y[positions], positions=positions)


def _untested(raw: Raw, test: Examples) -> tuple[str, ...]:
    """A note on classes without test examples; only an official test set can lack one."""
    present = set(torch.unique(test.y).tolist())
    absent = [name for label, name in enumerate(raw.classes) if label not in present]
    listing = ", ".join([*map(repr, absent[:5]), *(["..."] if len(absent) > 5 else [])])
    return (f"the test set has no example of {len(absent)} of {len(raw.classes)} classes: {listing}",) if absent else ()
