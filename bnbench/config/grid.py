"""From settings to cells: the full product of the factors, where zipped settings advance together as one factor."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bnbench.config.grammar import LIMIT, Setting
from bnbench.schema.convert import shown

Cell = dict[str, Any]
"""A value for each key that the user set."""


def factors(settings: Sequence[Setting], zipped: Sequence[Sequence[Setting]], problems: list[str]) -> list[list[Cell]]:
    """One list of partial cells per factor; the grid is their product.

    A key that is set twice, zipped settings of different lengths and a grid that is too large (then an empty one is
    returned) are added to ``problems``.
    """
    keys = [setting.key for setting in [*settings, *itertools.chain.from_iterable(zipped)]]
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        problems.append(f"{key} is set more than once; give all of its values in one place, as in {key}=a,b")
    product = [[{setting.key: value} for value in setting.values] for setting in settings]
    product += [_rows(group, problems) for group in zipped]
    size = math.prod(len(points) for points in product)
    if size > LIMIT:
        problems.append(f"the sweep has {size:,} cells; at most {LIMIT:,} can be planned at once, so divide it")
        return [[]]
    return product


def cells(product: Sequence[Sequence[Cell]]) -> Iterator[Cell]:
    """All combinations; the first factor varies slowest."""
    for points in itertools.product(*product):
        yield {key: value for point in points for key, value in point.items()}


def _rows(group: Sequence[Setting], problems: list[str]) -> list[Cell]:
    lengths = {setting.key: len(setting.values) for setting in group}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        problems.append(f"--zip: settings that advance together need equally many values; {counted}")
    names = [setting.key for setting in group]
    return [dict(zip(names, row, strict=True)) for row in zip(*(setting.values for setting in group), strict=False)]


def repetitions(settings: Sequence[Setting], zipped: Sequence[Sequence[Setting]]) -> Iterator[str]:
    """A note for each value of a factor, or row of a zip, that is given more than once."""
    for group in [*([setting] for setting in settings), *zipped]:
        rows = [*zip(*(setting.values for setting in group), strict=False)]
        counts = Counter(tuple(map(_comparable, row)) for row in rows)
        for row in rows:
            if (count := counts.pop(tuple(map(_comparable, row)), 1)) > 1:
                pairs = zip(group, row, strict=True)
                point = " ".join(f"{setting.key}={shown(value)}" for setting, value in pairs)
                yield f"{point} is given {count} times and counts once"


def _comparable(value: Any) -> str:
    """A text that equal values of a setting share: 1 and 1.0 are one number, which true is not."""
    is_small = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return repr(float(value) if is_small else value)
