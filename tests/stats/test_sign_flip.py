"""The sign-flip test and its interval against scipy, a worked example and the laws they obey."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bnbench.stats import fewest_replicates, sign_flip_interval, sign_flip_test

few = st.lists(st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 3)), min_size=6, max_size=10)
checked = settings(max_examples=60, deadline=None)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_darwins_maize():
    """Fisher 1935, section 21: of 2^15 patterns 1,726 are at least as extreme, p = 5.267%."""
    inches = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]) / 8
    p = sign_flip_test(inches, generator())
    assert p == pytest.approx(1726 / 2**15, abs=3 * (0.05267 * 0.95 / 9999) ** 0.5)
    exact = np.mean([abs(np.dot(signs, inches)) >= inches.sum() for signs in itertools.product((1, -1), repeat=15)])
    assert exact == 1726 / 2**15


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize("n", [2, 6, 10, 14])
def test_it_is_the_exact_test_of_scipy(n, alternative):
    for differences in generator(n).normal(0.4, 1, (5, n)):
        theirs = scipy_stats.permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            alternative=alternative,
            n_resamples=np.inf,
        )
        assert sign_flip_test(differences, generator(), alternative) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_random_patterns_are_near_all_patterns_and_never_give_zero():
    differences = generator(1).normal(0.5, 1, 16)
    signs = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    exact = np.mean(np.abs(signs @ differences) >= differences.sum() - 1e-9)
    assert sign_flip_test(differences, generator()) == pytest.approx(exact, abs=0.01)
    assert sign_flip_test(np.arange(1, 41), generator()) == 1 / 10_000


@checked
@given(few, st.floats(0.01, 100, allow_subnormal=False), st.randoms())
def test_order_scale_and_sign_do_not_matter(differences, scale, random):
    shuffled = random.sample(differences, len(differences))
    p = sign_flip_test(differences, generator())
    assert sign_flip_test(shuffled, generator()) == p
    assert sign_flip_test(np.negative(differences), generator()) == p
    assert sign_flip_test(scale * np.array(differences), generator()) == p


@checked
@given(few, st.sampled_from([0.9, 0.95]))
def test_the_interval_is_what_the_test_does_not_reject(differences, confidence):
    differences = np.array(differences)
    interval = sign_flip_interval(differences, generator(), confidence)
    step = 1e-6
    for inside in (interval.low + step, interval.high - step):
        if interval.low + step <= inside <= interval.high - step:
            assert sign_flip_test(differences - inside, generator()) > 1 - confidence
    for outside in (interval.low - step, interval.high + step):
        assert sign_flip_test(differences - outside, generator()) <= 1 - confidence


def test_too_few_replicates_give_no_interval():
    assert [fewest_replicates(alpha) for alpha in (0.05, 0.05 / 10, 0.5, 2 / 2**7)] == [6, 9, 2, 7]
    assert sign_flip_interval(np.arange(5.0), generator()) is None
    assert sign_flip_interval(np.arange(6.0), generator()).low == 0
    assert sign_flip_interval(np.arange(20.0), generator(), confidence=0.99995) is None


def test_equal_differences_give_a_point():
    interval = sign_flip_interval([0.3] * 7, generator())
    assert (interval.low, interval.high) == (0.3, 0.3)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, np.nan], [1.0, np.inf]])
def test_what_has_no_mean_is_refused(values):
    with pytest.raises(ValueError, match="values must"):
        sign_flip_test(values, generator())
