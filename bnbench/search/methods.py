"""The ways to choose points of a search space: each is a function of what is known, so the same call gives the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from bnbench.config import Interval, Point, Space
from bnbench.errors import InvalidRequest
from bnbench.search.tree_parzen import tree_parzen_points
from bnbench.search.trial import Trial
from bnbench.spec import stream

Method = Callable[[Sequence[Space], int, Sequence[Trial], int], list[Point]]
"""Points to try next: of a space, by a seed, after trials so far, until there are as many trials as the last says.

A method may give fewer than there is room for; none is the end of the search.
"""


def random_points(spaces: Sequence[Space], seed: int, trials: Sequence[Trial], total: int) -> list[Point]:
    """Points that are drawn each by itself: the first ones are the same however many there are."""
    points = []
    for number in range(len(trials), total):
        generator = np.random.default_rng(stream(seed, "search", str(number)))
        points.append({space.key: _drawn(space, float(generator.random())) for space in spaces})
    return points


def grid_points(spaces: Sequence[Space], seed: int, trials: Sequence[Trial], total: int) -> list[Point]:
    """All combinations of values; intervals are divided evenly, as finely as the number of trials allows.

    Raises:
        InvalidRequest: there are more combinations than trials.
    """
    count = math.prod(len(space.ends) for space in spaces)
    if count > total:
        ends = ", the two ends of an interval counted as such" if any(map(_is_interval, spaces)) else ""
        raise InvalidRequest([f"--trials {total}: the grid has {count:,} points{ends}; a grid is tried as a whole"])
    intervals = sum(map(_is_interval, spaces))
    others = math.prod(len(space.ends) for space in spaces if not _is_interval(space))
    levels = next((n for n in range(2, total + 1) if others * (n + 1) ** intervals > total), total)
    axes = [dict.fromkeys(_levels(space, levels)) for space in spaces]
    keys = [space.key for space in spaces]
    every = [dict(zip(keys, values, strict=True)) for values in itertools.product(*axes)]
    return every[len(trials) :]


METHODS: dict[str, Method] = {"random": random_points, "tpe": tree_parzen_points, "grid": grid_points}


def _is_interval(space: Space) -> bool:
    return isinstance(space, Interval)


def _levels(space: Space, count: int) -> Sequence[object]:
    if not isinstance(space, Interval):
        return space.values
    return [space.low, *(_at(space, place / (count - 1)) for place in range(1, count - 1)), space.high]


def _drawn(space: Space, share: float) -> object:
    """The value at a share of the probability, from 0 to below 1."""
    if not isinstance(space, Interval):
        return space.values[int(share * len(space.values))]
    if not space.whole:
        return _at(space, share)
    wide = Interval(space.key, space.low - 0.5, space.high + 0.5, space.log)
    return min(max(round(_at(wide, share)), round(space.low)), round(space.high))


def _at(space: Interval, share: float) -> float:
    """The number at a share of an interval, whole where it must be."""
    if space.log:
        value = math.exp((1 - share) * math.log(space.low) + share * math.log(space.high))
    else:
        value = (1 - share) * space.low + share * space.high
    value = min(max(value, space.low), space.high)
    return round(value) if space.whole else value
