"""Limits of numbers: which values are within, and the sentence for one that is not."""

from __future__ import annotations

import math

import pytest

from bnbench import limits

WITHIN = [
    *(limits.above("x", value, 0) for value in (None, 1e-9, 5)),
    *(limits.at_least("x", value, 1) for value in (None, 1, 1.5)),
    *(limits.at_most("x", value, 1) for value in (None, -1, 1)),
    *(limits.within("x", value, 1, 2) for value in (None, 1, 2)),
    *(limits.between("x", value, 0, 1) for value in (1e-9, 0.999)),
    *(limits.share("x", value) for value in (0, 0.5, 1)),
    *(limits.share("x", value, below_one=True) for value in (0, 0.999)),
    *(limits.positive_share("x", value) for value in (None, 1e-9, 1)),
    *(limits.whole_at_least("x", value, 0) for value in (0, 7)),
]
BEYOND = [
    *(
        (limits.above("x", value, 0), f"x={value}: must be a finite number above 0")
        for value in (0, math.inf, math.nan)
    ),
    *((limits.at_least("x", value, 1), f"x={value}: must be at least 1") for value in (0.5, math.inf, math.nan)),
    (limits.at_most("x", 1001, 1000), "x=1001: must be at most 1,000"),
    (limits.at_most("x", 2e15, 1e15), "x=2000000000000000.0: must be at most 1e+15"),
    (limits.within("x", 0, 1, 2), "x=0: must be at least 1"),
    (limits.within("x", 3, 1, 2), "x=3: must be at most 2"),
    *((limits.between("x", value, 0, 1), f"x={value}: must be above 0 and below 1") for value in (0, 1, math.nan)),
    *((limits.share("x", value), f"x={value}: must be from 0 to 1") for value in (-0.1, 1.1, math.nan)),
    (limits.share("x", 1, below_one=True), "x=1: must be from 0 to below 1"),
    *((limits.positive_share("x", value), f"x={value}: must be above 0 and at most 1") for value in (0, 1.1, math.nan)),
    *(
        (limits.whole_at_least("x", value, 1), f"x={value}: must be a whole number, 1 or more")
        for value in (0, 1.0, True)
    ),
]


@pytest.mark.parametrize("problems", WITHIN)
def test_a_number_within_is_no_problem(problems: list[str]):
    assert problems == []


@pytest.mark.parametrize(("problems", "sentence"), BEYOND)
def test_a_number_beyond_is_one_sentence(problems: list[str], sentence: str):
    assert problems == [sentence]
