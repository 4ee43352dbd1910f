import math

import numpy as np
import pandas as pd
import pytest

from bnbench.analysis.levels import canonical, encode, level_text, level_texts, typed


@pytest.mark.parametrize(
    ("written", "level"),
    [
        (0.1 + 0.2, 0.3),
        ("0.3", 0.3),
        ("1e-05", 1e-5),
        (np.int64(4), 4),
        (4.0, 4),
        (math.nan, None),
        ("", None),
        ("null", None),
        ("none", "none"),
        ("True", True),
        (np.True_, True),
        ((0.5, 0.75), "[0.5, 0.75]"),
    ],
)
def test_one_level_however_it_is_written(written: object, level: object) -> None:
    assert canonical(written) == level


def test_levels_are_in_natural_order() -> None:
    column = pd.Series(["resnet110", 10, True, "resnet20", None, 9.0, "2"], dtype=object)
    codes, levels = encode(column)
    assert levels == (None, True, 2, 9, 10, "resnet20", "resnet110")
    assert [levels[code] for code in codes] == ["resnet110", 10, True, "resnet20", None, 9, 2]


@pytest.mark.parametrize(
    ("factor", "levels"),
    [("sweep", ("nan", "7", "007")), ("data", (None, "12e345", "12e3450")), ("plugin", (None, "0012", "12"))],
)
def test_names_and_digests_are_no_numbers(factor: str, levels: tuple[str | None, ...]) -> None:
    codes, found = encode(pd.Series(levels, dtype=object, name=factor))
    assert set(found) == set(levels) and [found[code] for code in codes] == list(levels)
    assert all(typed(factor, level_text(level)) == level for level in levels)


def test_the_baseline_comes_first() -> None:
    assert encode(pd.Series(["batch", "none", "group"]), ["none"])[1] == ("none", "batch", "group")


@pytest.mark.parametrize(
    ("level", "text"), [(0.01, "0.01"), (1e-5, "1e-5"), (64.0, "64"), (True, "true"), (None, "null")]
)
def test_levels_are_written_as_a_user_types_them(level: object, text: str) -> None:
    assert level_text(canonical(level)) == text


def test_learning_rates_have_as_few_digits_as_tell_them_apart() -> None:
    assert level_texts([0.001, 0.0031622776, 0.1, 1, 3.0]) == ["0.001", "0.00316", "0.1", "1", "3"]
    assert level_texts([0.1, 0.10001]) == ["0.1", "0.10001"]
