"""The interval and the p of a mean: two judges that agree with each other, and the laws they obey."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bnbench.stats import Draws, Interval, mean_interval, sign_flip_interval, sign_flip_test
from bnbench.stats.mean import infer_mean
from bnbench.stats.stretched_t import FAR, NEAR, stretched_t


def generator(seed=0):
    return np.random.default_rng(seed)


def test_t_of_normal_values_is_students():
    values = scipy_stats.norm.ppf((np.arange(40) + 0.5) / 40) + 0.3
    judge = stretched_t(values, Draws(generator()))
    student = scipy_stats.ttest_1samp(values, 0)
    assert judge.below == pytest.approx(1, abs=0.03) and judge.above == pytest.approx(1, abs=0.1)
    assert judge.p() == pytest.approx(student.pvalue, rel=0.2)
    assert judge.interval(0.95).low == pytest.approx(student.confidence_interval().low, abs=0.02)


def test_stretches_from_all_resamples():
    """Survival of five mice, days (Efron & Tibshirani 1993, table 2.1); all 5^5 resamples."""
    values = np.array([94.0, 197, 16, 38, 99])
    resamples = np.array(np.meshgrid(*[values] * 5)).reshape(5, -1).T
    errors = resamples.std(axis=1, ddof=1) / 5**0.5
    t = (resamples.mean(axis=1) - values.mean())[errors > 0] / errors[errors > 0]
    toward, away = np.quantile(t, [1 - NEAR / 2, FAR / 2]) / scipy_stats.t.ppf([1 - NEAR / 2, FAR / 2], 4)
    judge, turned = (stretched_t(sign * values, Draws(generator(), resamples=40_000)) for sign in (1, -1))
    assert (judge.below, judge.above) == pytest.approx((toward, away), rel=0.1)
    assert (turned.above, turned.below) == pytest.approx((toward, away), rel=0.1)


def test_a_long_tail_may_hide_a_larger_mean():
    values = generator().lognormal(size=10)
    whole, flipped = mean_interval(values, generator()), sign_flip_interval(values, generator())
    assert whole.low <= flipped.low and whole.high > flipped.high
    tail_toward_zero = 8 - values
    assert infer_mean(tail_toward_zero - 6, Draws(generator())).p() > sign_flip_test(tail_toward_zero - 6, generator())


def skewed():
    return generator().lognormal(size=10)


def test_the_same_generator_gives_the_same_interval():
    assert mean_interval(skewed(), generator(3)) == mean_interval(skewed(), generator(3))


def test_it_moves_and_turns_with_the_values():
    found, moved = mean_interval(skewed(), generator()), mean_interval(10 * skewed() + 3, generator())
    assert (moved.low, moved.high) == pytest.approx((10 * found.low + 3, 10 * found.high + 3))
    turned = mean_interval(-skewed(), generator(1))
    assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high), abs=0.1 * (found.high - found.low))


def test_more_confidence_is_wider():
    wide, narrow = (mean_interval(skewed(), generator(), confidence=confidence) for confidence in (0.95, 0.8))
    assert wide.low < narrow.low < skewed().mean() < narrow.high < wide.high


def test_equal_values_give_a_point_and_too_few_none():
    assert mean_interval([0.1] * 10, generator()) == Interval(0.1, 0.1)
    assert mean_interval([1.0, 2.0, 3.0, 4.0, 5.0], generator()) is None
    assert mean_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], generator()) is not None


few = st.lists(st.floats(-50, 100, allow_subnormal=False).map(lambda value: round(value, 2)), min_size=6, max_size=20)


@settings(max_examples=60, deadline=None)
@given(few, st.sampled_from([0.9, 0.95, 0.99]))
def test_p_agrees_with_the_interval(values, confidence):
    found = infer_mean(values, Draws(generator()))
    interval = found.interval(confidence)
    assume(interval is not None and min(abs(interval.low), abs(interval.high)) > 1e-6)
    assert (found.p() <= 1 - confidence) == interval.excludes(0.0)


@settings(max_examples=60, deadline=None)
@given(few, st.floats(-50, 100, allow_subnormal=False), st.sampled_from([0.01, 0.05]))
def test_one_sided_p_agree_with_the_interval(values, value, alpha):
    """So an effect is shown to be small if all of its interval at 1 - 2 alpha is."""
    found = infer_mean(values, Draws(generator()))
    interval = found.interval(1 - 2 * alpha)
    assume(interval is not None and min(abs(interval.low - value), abs(interval.high - value)) > 1e-6)
    assert (found.p_above(value) <= alpha) == (interval.low > value)
    assert (found.p_below(value) <= alpha) == (interval.high < value)


def test_a_long_tail_may_hide_an_effect_that_is_not_small():
    """One-sided p of the stretched t, by scipy's Student's t with the same stretch."""
    values = generator().lognormal(size=10)
    found = infer_mean(values, Draws(generator()))
    stretched = found.judge.error * found.judge.above
    assert found.p_below(3.0) == pytest.approx(scipy_stats.t.cdf((values.mean() - 3) / stretched, 9))
    assert found.p_below(3.0) > sign_flip_test(3.0 - values, generator(), "greater")


@pytest.mark.parametrize("values", [[0.0] * 10, [0.1] * 10, [0.0] * 9 + [1.0], [0.0] * 5 + [1.0] * 5])
def test_few_different_values(values):
    found = infer_mean(values, Draws(generator()))
    interval = found.interval(0.95)
    assert np.isfinite([interval.low, interval.high]).all()
    assert interval.low <= np.mean(values) <= interval.high
    assert found.p() == (2 / 2**10 if values[0] else pytest.approx(max(sign_flip_test(values, generator()), found.p())))
