"""From factors to cells: the full product of the factors, where zipped settings advance together as one factor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from bnbench.config.grammar import Setting

Cell = dict[str, Any]
"""A value for each key that the user set."""


def factors(settings: Sequence[Setting], zipped: Sequence[Sequence[Setting]], problems: list[str]) -> list[list[Cell]]:
    """One list of partial cells per factor; the grid is their product.

    A key that is set twice and zipped settings of different lengths are added to ``problems``.
    """
    keys = [setting.key for setting in [*settings, *itertools.chain.from_iterable(zipped)]]
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        problems.append(f"{key} is set more than once; give all of its values in one place, as in {key}=a,b")
    product = [[{setting.key: value} for value in setting.values] for setting in settings]
    for group in zipped:
        lengths = {setting.key: len(setting.values) for setting in group}
        if len(set(lengths.values())) > 1:
            counted = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            problems.append(f"--zip: settings that advance together need equally many values; {counted}")
        names = [setting.key for setting in group]
        product.append(
            [dict(zip(names, row, strict=True)) for row in zip(*(setting.values for setting in group), strict=False)]
        )
    return product


def cells(product: Sequence[Sequence[Cell]]) -> Iterator[Cell]:
    """All combinations; the first factor varies slowest."""
    for points in itertools.product(*product):
        yield {key: value for point in points for key, value in point.items()}


def matches(flat: Cell, conditions: Sequence[Setting]) -> bool:
    """Whether a run's columns meet all conditions of one --exclude."""
    return all(setting.key in flat and flat[setting.key] in setting.values for setting in conditions)
