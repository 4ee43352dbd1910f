"""Dividing examples into training, validation and test: stratified, deterministic, each part drawn on its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bnbench.errors import InvalidRequest
from bnbench.spec import Split, stream
from bnbench.text import plural


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Ascending positions among the training examples: train [N1], validation [N2], and test [N3] (None: official)."""

    train: Tensor
    validation: Tensor
    test: Tensor | None


def divide(y: Tensor, split: Split, classes: tuple[str, ...], official_test: bool) -> Parts:
    """Choose the test (unless there is an official one), then the validation, then the kept training examples.

    Args:
        y: [N] labels 0..classes-1.
        split: shares and seed; changing one part's share does not change the parts chosen before it.
        classes: names, for messages; none if the examples are of one kind, of which every part needs one.
        official_test: there is an official test set, so ``split.test`` is not used.

    Raises:
        InvalidRequest: a part would lack a class, or ``split.train`` is more than there is.
    """
    rest, test = torch.arange(len(y)), None
    if not official_test:
        test, rest = _take(y, rest, round(split.test * len(y)), split.seed, "test")
        _require(y[test], classes, f"split.test={split.test}", "test", len(y))
    validation, rest = _take(y, rest, round(split.validation * len(rest)), split.seed, "validation")
    _require(y[validation], classes, f"split.validation={split.validation}", "validation", len(y))
    _require(y[rest], classes, f"split.validation={split.validation}", "training", len(y))
    if split.train is not None:
        if split.train > len(rest):
            raise InvalidRequest(
                [f"split.train={split.train}: {len(rest)} training examples are left after test and validation"]
            )
        rest, _ = _take(y, rest, split.train, split.seed, "train")
        _require(y[rest], classes, f"split.train={split.train}", "training", len(y))
    return Parts(rest, validation, test)


def _take(y: Tensor, positions: Tensor, count: int, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """A stratified choice of ``count`` of ``positions`` and the rest, both ascending."""
    generator = torch.Generator().manual_seed(stream(seed, "split", purpose))
    order = positions[stratified_order(y[positions], generator)]
    return order[:count].sort().values, order[count:].sort().values


def stratified_order(y: Tensor, generator: torch.Generator) -> Tensor:
    """A random order [N] of which every beginning is stratified, so a smaller choice is nested in a larger one.

    The j-th example of a class with n of them stands at (j + 1/2) / n (the divisor method of Webster and
    Sainte-Lague), except that the first example of every class comes before all second ones.
    """
    shuffled = torch.randperm(len(y), generator=generator)
    labels = y[shuffled]
    grouped = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    rank = torch.empty_like(grouped)
    rank[grouped] = torch.arange(len(y)) - (counts.cumsum(0) - counts)[labels[grouped]]
    place = torch.where(rank == 0, 0.0, (rank + 0.5) / counts[labels].double())
    return shuffled[place.argsort(stable=True)]


def _require(y: Tensor, classes: tuple[str, ...], field: str, part: str, total: int) -> None:
    counts = torch.bincount(y, minlength=len(classes) or 1)
    if bool((counts > 0).all()):
        return
    if not classes:
        needs = f"every part needs an example; of {plural(total, 'example')}, none is for {part}"
        raise InvalidRequest([f"{field}: {needs}. Change the share or add examples"])
    absent = classes[int((counts == 0).nonzero()[0])]
    verb = "is" if len(y) == 1 else "are"
    raise InvalidRequest(
        [
            f"{field}: every class needs an example in every part; of {plural(total, 'example')}, {len(y)} {verb} "
            f"for {part}, none of class {absent!r} ({len(classes)} classes). Change the share or add examples"
        ]
    )
