"""The detectable effect against simulated studies, and against Student's test where that is the same."""

import math
import time

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from bnbench.stats import (
    ALPHA,
    Claim,
    Draws,
    decide,
    decide_together,
    detectable_effect,
    fewest_replicates,
    replicates_needed,
)
from tests.budget import slowness


@pytest.mark.parametrize(("n", "alpha", "power"), [(10, 0.05, 0.8), (10, 0.05 / 23, 0.18), (20, 0.05 / 23, 0.8)])
def test_it_is_the_power_of_the_rule(n, alpha, power):
    effect = detectable_effect(n, alpha, power)
    random = np.random.default_rng(1)
    draws = Draws(random, 1_999, 1_999)
    p = [decide(random.normal(effect, 1, n), 0.01, draws).p for _ in range(400)]
    assert np.mean(np.array(p) <= alpha) == pytest.approx(power, abs=3.5 * math.sqrt(power * (1 - power) / 400))


def test_ten_replicates_rarely_find_one_standard_deviation_among_23_claims():
    assert detectable_effect(10, 0.05 / 23, 0.12) < 1 < detectable_effect(10, 0.05 / 23, 0.22)


@pytest.mark.parametrize(("n", "alpha"), [(40, 0.05), (100, 0.01), (400, 0.05)])
def test_many_replicates_are_students(n, alpha):
    student = TTestPower().solve_power(nobs=n, alpha=alpha, power=0.8, alternative="two-sided")
    assert detectable_effect(n, alpha) == pytest.approx(student, rel=0.06 if n <= 100 else 1e-3)


def test_too_few_replicates_detect_nothing():
    assert detectable_effect(5) == math.inf
    assert detectable_effect(13, 0.05 / 374) == math.inf > detectable_effect(14, 0.05 / 374)
    assert detectable_effect(10, 0.05 / 26) == math.inf > detectable_effect(10, 0.05 / 25)


@pytest.mark.parametrize("n", [14, 40])
def test_it_takes_little_time(n):
    begin = time.process_time()
    detectable_effect(n, 0.05 / 23)
    assert time.process_time() - begin < slowness()


@pytest.mark.parametrize(("effect", "alpha"), [(1.0, 0.05 / 23), (0.5, 0.05), (20.0, 0.01)])
def test_as_many_as_needed_and_no_more(effect, alpha):
    n = replicates_needed(effect, alpha)
    assert detectable_effect(n, alpha) <= effect < detectable_effect(n - 1, alpha)
    assert n >= fewest_replicates(alpha)


@pytest.mark.parametrize("effect", [0.0, -1.0, 1e-6, math.nan])
def test_effects_that_nobody_can_detect_are_refused(effect):
    with pytest.raises(ValueError, match="effect="):
        replicates_needed(effect)


@pytest.mark.parametrize(("replicates", "claims"), [(10, 17), (14, 374), (18, 374), (22, 85), (22, 1000), (30, 4301)])
def test_enough_replicates_can_decide_however_many_claims_there_are(replicates: int, claims: int):
    """Random patterns of signs are as many as the strictest level of a family takes."""
    level = ALPHA / claims
    assert fewest_replicates(level) <= replicates and math.isfinite(detectable_effect(replicates, level))
    large = np.random.default_rng(1).normal(100.0, 1.0, replicates)
    (decision,) = decide_together([Claim.of(large, 1.0)], np.random.default_rng(2), family=claims)
    assert decision.verdict == "supported"
