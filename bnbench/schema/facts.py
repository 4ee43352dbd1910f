"""Facts about norms, for ``bnbench list norms`` and docs/norms.md, and about datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a norm, beside its class as the attribute ``facts``; the options are read from its signature.

    Attributes:
        title: its full name, or what it is in a few words.
        formula: what it computes, in one line.
        over: what it normalizes over.
        batch_statistics: whether an example's output in training depends on the other examples of its batch; or the
            option with which it does, where it does not by default.
        paper: authors and year, or empty.
        smallest_batch: examples that it needs in training where a channel has one value per example.
        smallest_with_positions: examples that it needs where a channel has several.
        vectors: whether it takes ``[N, C]``; one that does not needs several positions per channel.
        differs: what the paper or a known implementation has instead of our defaults, or empty.
    """

    title: str
    formula: str
    over: str
    batch_statistics: bool | str
    paper: str
    smallest_batch: int = 1
    smallest_with_positions: int = 1
    vectors: bool = True
    differs: str = ""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Facts about a dataset, beside its loader in ``DATASETS``.

    Attributes:
        kind: what an example is; ``features`` are a vector.
        files: what it is read from: ``none`` of one that is there wherever the package is, ``downloaded`` ones, or the
            user's ``own``, which can hold anything.
    """

    kind: Literal["image", "features", "text"]
    files: Literal["none", "downloaded", "own"]
