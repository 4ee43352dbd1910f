"""Aggregates over tasks against other implementations and by hand."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.integrate import trapezoid

from bnbench.stats import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    profile_score,
    relative_interquartile_mean,
    time_ratios,
)

NEVER = math.inf


def generator(seed=0):
    return np.random.default_rng(seed)


def test_interquartile_mean_is_that_of_all_runs():
    tasks = generator().normal(size=(5, 8))
    found = interquartile_mean(tasks, generator())
    assert found.value == pytest.approx(np.sort(tasks.ravel())[10:30].mean())
    assert found.value == pytest.approx(scipy_stats.trim_mean(tasks.ravel(), 0.25))
    assert found.interval.low < found.value < found.interval.high
    assert interquartile_mean([[0, 1, 2, 3], [100, -100, 1, 2]], generator()).value == 1.5


def test_runs_are_resampled_within_their_task():
    """Tasks that differ by far more than their runs: the interval is that of runs, not of tasks."""
    tasks = [task + generator(task).normal(0, 0.01, 10) for task in range(5)]
    found = interquartile_mean(tasks, generator()).interval
    assert found.high - found.low < 0.05
    assert interquartile_mean([[3.0] * 5, [4.0] * 5], generator()).interval.low == 3.5


def test_probability_of_improvement_is_mann_whitneys():
    ours, theirs = generator(1).integers(0, 6, (4, 9)), generator(2).integers(0, 6, (4, 7))
    expected = [scipy_stats.mannwhitneyu(x, y).statistic / 63 for x, y in zip(ours, theirs, strict=True)]
    found = probability_of_improvement(ours, theirs, generator())
    assert found.value == pytest.approx(np.mean(expected))
    assert found.interval.low < found.value < found.interval.high
    back = probability_of_improvement(theirs, ours, generator())
    assert back.value == pytest.approx(1 - found.value)


def test_probability_of_improvement_at_its_ends():
    better = probability_of_improvement([[2, 3, 3], [5, 5, 6]], [[1, 1, 0, 0], [4, 4, 4]], generator())
    assert (better.value, better.interval.low, better.interval.high) == (1, 1, 1)
    assert probability_of_improvement([[1, 1]], [[1, 1, 1]], generator()).value == 0.5


def test_fewer_than_three_runs_of_a_task_give_no_interval():
    assert interquartile_mean([[1, 2, 3], [1, 2]], generator()).interval is None
    assert probability_of_improvement([[1, 2, 3]], [[1, 2]], generator()).interval is None


def test_stratified_intervals_cover():
    """Of 200 intervals of a known interquartile mean, 0, about 95% hold it: 90% at least."""
    held = 0
    for seed in range(200):
        found = interquartile_mean(generator(seed).normal(size=(6, 10)), generator(seed)).interval
        held += not found.excludes(0.0)
    assert 180 <= held <= 200


def test_probability_of_improvement_covers():
    """Of normal runs half a standard deviation apart: the normal distribution says how often one is higher."""
    true, held = scipy_stats.norm.cdf(0.5 / math.sqrt(2)), 0
    for seed in range(200):
        drawn = generator(seed).normal(size=(2, 4, 22))
        found = probability_of_improvement(drawn[0] + 0.5, drawn[1], generator(seed)).interval
        held += not found.excludes(true)
    assert 180 <= held <= 200


def test_runs_that_never_get_there_lose_to_all_others_and_tie_with_each_other():
    """Of nine pairs: the run that gets there wins three; two that do not lose four and tie with one, twice half."""
    found = probability_of_improvement([[-1, -NEVER, -NEVER]], [[-2, -2, -NEVER]], generator())
    assert found.value == pytest.approx((3 + 2 * 0.5) / 9)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (True, 1.25),  # 0.5 1 1.5 2 of both tasks: the middle half is 1 1 1.5 1.5
        (False, 0.75),  # -1 0 1 2 and -10 0 10 20: the middle half is 0 0 1 2
    ],
)
def test_relative_interquartile_mean_by_hand(ratio, expected):
    ours, theirs = [[1, 2, 3, 4], [10, 20, 30, 40]], [[2, 2, 2, 2], [9, 20, 20, 99]]
    assert relative_interquartile_mean(ours, theirs, generator(), ratio=ratio).value == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, 2, 3, 4], [NEVER] * 4, 0),
        ([NEVER] * 4, [1.0, 2, 3, 4], NEVER),
        ([NEVER] * 4, [NEVER] * 4, 1),
        ([1.0, 1, 1, NEVER], [1.0, 1, 1, NEVER], 1),
    ],
)
def test_relative_interquartile_mean_of_runs_that_never_get_there(ours, theirs, expected):
    found = relative_interquartile_mean([ours, ours], [theirs, theirs], generator(), ratio=True)
    assert found.value == expected
    assert found.interval.low <= expected <= found.interval.high


@pytest.mark.parametrize("ratio", [True, False])
def test_relative_interquartile_mean_covers(ratio):
    """Of tasks of other sizes, arms a tenth apart in all of them; both arms vary."""
    held, sizes = 0, np.array([1.0, 5, 20, 100])[:, None]
    for seed in range(100):
        ours, theirs = 1 + generator(seed).normal(0, 0.05, size=(2, 4, 22))
        ours, theirs = (1.1 * ours * sizes, theirs * sizes) if ratio else (ours + 0.1 + sizes, theirs + sizes)
        found = relative_interquartile_mean(ours, theirs, generator(seed), ratio=ratio).interval
        held += not found.excludes(1.1 if ratio else 0.1)
    assert 90 <= held <= 100


TIMES = [[100, 400, NEVER, NEVER], [200, 100, NEVER, 50], [400, 100, NEVER, 60]]
"""Three arms on four tasks."""


def test_ratios_are_to_the_fastest_arm():
    expected = [[1, 4, NEVER, NEVER], [2, 1, NEVER, 1], [4, 1, NEVER, 1.2]]
    assert time_ratios(TIMES).tolist() == expected
    assert time_ratios([[0.0, 5], [1, 5]]).tolist() == [[1, 1], [NEVER, 1]]


def test_profiles_count_tasks_within_a_ratio():
    profile = performance_profile(TIMES, [1, 1.5, 2, 4])
    assert profile.tolist() == [[0.25, 0.25, 0.25, 0.5], [0.5, 0.5, 0.75, 0.75], [0.25, 0.5, 0.5, 0.75]]


def test_the_score_is_the_mean_height_of_the_profile():
    ratios = np.linspace(1, 4, 30_001)
    profile = performance_profile(TIMES, ratios)
    assert profile_score(TIMES) == pytest.approx(trapezoid(profile, ratios, axis=1) / 3, abs=1e-4)
    assert profile_score([[1.0, 2], [2, 1]], largest=2.0).tolist() == [0.5, 0.5]


def test_times_that_are_no_times_are_refused():
    for times in ([1.0, 2.0], [[1.0, -2.0]], [[math.nan]]):
        with pytest.raises(ValueError, match="times must"):
            time_ratios(times)
