"""Speed-ups with and without misses."""

import math

import numpy as np
import pytest

from bnbench.stats import ratio_of_medians, speed_up_bounds

NEVER = math.inf


def test_ratio_of_medians():
    assert ratio_of_medians(100, 320, 320) == ("ratio", 3.2)
    assert ratio_of_medians(100, NEVER, 320) == ("above", 3.2)
    assert ratio_of_medians(NEVER, 100, 100) == ("never", 0.0)
    assert ratio_of_medians(NEVER, NEVER, 320)[0] == "neither"
    assert ratio_of_medians(0, 100, 100)[0] == "unknown"
    assert ratio_of_medians(100, NEVER, math.nan)[0] == "unknown"


def test_bounds_of_every_kind():
    """Budgets of 100 steps: both reach it, the baseline misses, the arm misses, both miss."""
    low, high = speed_up_bounds([10.0, 10, NEVER, NEVER], [20.0, NEVER, 20, NEVER], 100, [100.0] * 4)
    assert np.exp(low) == pytest.approx([2, 10, 0, 0])
    assert np.exp(high) == pytest.approx([2, NEVER, 0.2, NEVER])


def test_swapping_the_arms_turns_the_bounds():
    one, other = np.random.default_rng(0).integers(1, 100, (2, 11)).astype(float)
    one[2:5], other[4:7] = NEVER, NEVER
    forth, back = speed_up_bounds(one, other, 100, 100), speed_up_bounds(other, one, 100, 100)
    assert np.array_equal(forth[0], np.negative(back[1])) and np.array_equal(forth[1], np.negative(back[0]))


def test_longer_runs_only_narrow_the_bounds():
    """The ratio that runs without an end would show is always within."""
    arm, baseline = np.random.default_rng(1).lognormal(4, 1, (2, 50))
    exact = np.log(baseline) - np.log(arm)
    for budget in (20.0, 60.0, 200.0):
        cut = [np.where(steps > budget, NEVER, steps) for steps in (arm, baseline)]
        low, high = speed_up_bounds(*cut, budget, budget)
        assert (low <= exact + 1e-12).all() and (exact <= high + 1e-12).all()


def test_no_steps_are_refused():
    for arm in ([0.0, 1.0], [1.0]):
        with pytest.raises(ValueError, match="above zero"):
            speed_up_bounds(arm, [1.0, 1.0], 1, 1)
