"""Intervals of a mean: BCa against all resamples there are, and the laws that all obey."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bnbench.stats import Interval, bca_interval, mean_interval

METHODS = {"bca": bca_interval, "mean": mean_interval}
MICE = np.array([94, 197, 16, 38, 99, 141, 23])
"""Survival of the seven treated mice, days; Efron & Tibshirani 1993, table 2.1."""


def generator(seed=0):
    return np.random.default_rng(seed)


def skewed(n=10, seed=0):
    return generator(seed).lognormal(size=n)


def test_bca_limits_from_all_resamples():
    """The limits by the formulas of Efron & Tibshirani 1993, section 14.3, from all 7^7 resamples of seven mice."""
    means = np.array([0.0])
    for _ in MICE:
        means = (means[:, None] + MICE / 7).ravel()
    low, high = np.sort(means)[[int(share * len(means)) for share in _levels(means, 0.9)]]
    found = bca_interval(MICE, generator(), "mean", 0.9)
    assert (found.low, found.high) == pytest.approx((low, high), abs=3)


def _levels(means, confidence):
    left_out = (MICE.sum() - MICE) / 6
    from_mean = left_out.mean() - left_out
    acceleration = (from_mean**3).sum() / (6 * (from_mean**2).sum() ** 1.5)
    below = (means < MICE.mean() - 1e-9).mean() + (abs(means - MICE.mean()) <= 1e-9).mean() / 2
    bias = scipy_stats.norm.ppf(below)
    z = bias + scipy_stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    return scipy_stats.norm.cdf(bias + z / (1 - acceleration * z))


def test_bca_of_a_median():
    values = skewed(15)
    found = bca_interval(values, generator(), "median")
    assert values.min() <= found.low <= np.median(values) <= found.high <= values.max()


def test_bca_where_leaving_one_out_changes_nothing():
    values = np.array([0.0, 1, 1, 1, 1, 1, 1, 2])
    found = bca_interval(values, generator(), "median")
    assert found.low <= 1 <= found.high


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
class TestEveryMethod:
    def test_the_same_generator_gives_the_same_interval(self, method):
        assert method(skewed(), generator(3)) == method(skewed(), generator(3))

    def test_it_moves_and_turns_with_the_values(self, method):
        values = skewed()
        found, moved = method(values, generator()), method(10 * values + 3, generator())
        assert (moved.low, moved.high) == pytest.approx((10 * found.low + 3, 10 * found.high + 3))
        turned = method(-values, generator(1))
        width = found.high - found.low
        assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high), abs=0.1 * width)

    def test_more_confidence_is_wider(self, method):
        wide, narrow = method(skewed(), generator(), confidence=0.95), method(skewed(), generator(), confidence=0.8)
        assert wide.low < narrow.low < skewed().mean() < narrow.high < wide.high

    def test_equal_values_give_a_point(self, method):
        assert method([0.1] * 10, generator()) == Interval(0.1, 0.1)

    def test_too_few_values_give_none(self, method):
        assert method([1.0, 2.0, 3.0, 4.0, 5.0], generator()) is None
        assert method([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], generator()) is not None

    def test_nearly_equal_values_give_finite_limits(self, method):
        found = method([0.0] * 9 + [0.01], generator())
        assert (
            0 <= found.low <= found.high <= 0.01
            if method is bca_interval
            else np.isfinite([found.low, found.high]).all()
        )
