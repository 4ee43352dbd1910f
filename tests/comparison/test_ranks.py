"""Places of arms: right where they are sure, and open where they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bnbench.comparison.ranks import Rank, rank_columns, ranks
from bnbench.study.questions import load_questions

REPLICATES = 40


def _values(**centres: float) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame({arm: centre + generator.normal(size=REPLICATES) for arm, centre in centres.items()})


def test_arms_far_apart_have_sure_places():
    found = rank_columns(_values(a=0, b=10, c=20), higher_is_better=True, median=False, seed=0)
    assert found == {"a": Rank(3, 3, 3, REPLICATES), "b": Rank(2, 2, 2, REPLICATES), "c": Rank(1, 1, 1, REPLICATES)}
    found = rank_columns(_values(a=0, b=10, c=20), higher_is_better=False, median=True, seed=0)
    assert [found[arm].place for arm in "abc"] == [1, 2, 3]


def test_equal_arms_share_their_places():
    values = _values(a=0, c=20)
    found = rank_columns(values.assign(b=values["a"]), higher_is_better=True, median=False, seed=0)
    assert found["a"] == found["b"] == Rank(2.5, 2.5, 2.5, REPLICATES)


def test_the_interval_holds_the_true_place_as_often_as_it_says():
    """Of arms that lie half a standard error apart; a bootstrap of places is known to be a little short."""
    held, generator = 0, np.random.default_rng(1)
    for _ in range(200):
        values = pd.DataFrame(
            {str(arm): 0.5 * arm / REPLICATES**0.5 + generator.normal(size=REPLICATES) for arm in range(4)}
        )
        found = rank_columns(values, higher_is_better=False, median=False, seed=0)
        held += sum(found[str(arm)].low <= arm + 1 <= found[str(arm)].high for arm in range(4))
    assert held / 800 >= 0.93


def test_an_arm_without_values_has_no_place_and_takes_none_away():
    """As one that fails at a question: the others are ranked by all replicates that they have."""
    (question,) = load_questions(["small_batch"])
    values = _values(a=0, b=10, c=20).assign(failed=np.nan)
    assert ranks(values, question.readings[0]) == {
        "a": Rank(3, 3, 3, REPLICATES),
        "b": Rank(2, 2, 2, REPLICATES),
        "c": Rank(1, 1, 1, REPLICATES),
    }
    values.loc[0, "a"] = np.nan
    assert ranks(values, question.readings[0])["a"] == Rank(3, 3, 3, REPLICATES - 1)
    assert ranks(values[:0], question.readings[0]) == {}


@pytest.mark.parametrize(("n", "has_interval"), [(2, False), (5, False), (6, True)])
def test_few_replicates_have_places_without_intervals(n: int, has_interval: bool):
    found = rank_columns(_values(a=0, b=10)[:n], higher_is_better=True, median=False, seed=0)
    assert [found[arm].place for arm in "ab"] == [2, 1] and found["a"].n == n
    assert np.isnan(found["b"].low) == np.isnan(found["b"].high) == (not has_interval)


@pytest.mark.parametrize("worst", [np.inf])
def test_an_arm_that_never_gets_there_is_last(worst: float):
    values = _values(a=0, b=10).assign(c=worst)
    found = rank_columns(values, higher_is_better=False, median=True, seed=0)
    assert found["c"] == Rank(3, 3, 3, REPLICATES)
