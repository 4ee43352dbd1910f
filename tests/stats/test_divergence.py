"""Comparisons in which some runs diverged."""

import math

import numpy as np
import pytest

from bnbench.stats import Claim, Trained, decide_together, success_rate

GAIN = np.linspace(-0.02, 0.02, 10) + 0.03
"""Ten differences of accuracies, of mean 0.03; one is not above 0.01."""


def diverged(*places, n=10):
    return np.array([place not in places for place in range(n)])


def decided(differences, arm, baseline, smallest=0.01, largest=1.0):
    claim = Claim.of(differences, smallest, trained=Trained(arm, baseline, largest))
    return decide_together([claim], np.random.default_rng(0))[0]


def test_as_ever_where_all_trained():
    found = decided(GAIN, diverged(), diverged())
    plain = decide_together([Claim.of(GAIN, 0.01)], np.random.default_rng(0))[0]
    assert found == plain and found.estimand == "mean" and found.divergence is None


def test_a_baseline_that_diverges_in_nine_of_ten_is_beaten():
    differences = np.append(np.full(9, 0.8), 0.02)
    found = decided(differences, diverged(), diverged(*range(9)))
    assert found.verdict == "supported" and found.estimand == "median" and found.effect == 0.8
    assert found.p == 2 / 2**10
    assert (found.divergence.arm_trained, found.divergence.baseline_trained, found.divergence.discordant) == (10, 1, 9)
    assert found.divergence.arm == success_rate(10, 10) and found.divergence.baseline == success_rate(1, 10)
    assert found.divergence.both == pytest.approx(0.02)
    assert found.divergence.all.value == pytest.approx(0.722)
    assert 0 < found.divergence.all.interval.low < 0.722 < found.divergence.all.interval.high <= 1


@pytest.mark.parametrize(
    ("arm", "baseline", "verdict", "reason"),
    [
        pytest.param({3}, {3}, "no difference", "the effect", id="both diverged"),
        pytest.param({3}, set(), "inconclusive", "one arm diverged where the other trained, in 1 of 10", id="the arm"),
        pytest.param(set(), {3}, "inconclusive", "one arm diverged where the other trained, in 1 of 10", id="baseline"),
        pytest.param({3}, {4}, "inconclusive", "one arm diverged where the other trained, in 2 of 10", id="each once"),
    ],
)
def test_no_difference_is_not_said_of_arms_that_differ_in_divergence(arm, baseline, verdict, reason):
    differences = (GAIN - 0.03) / 10
    for places, value in ((arm - baseline, -0.8), (baseline - arm, 0.8), (arm & baseline, 0.0)):
        differences[sorted(places)] = value
    found = decided(differences, diverged(*arm), diverged(*baseline))
    assert found.verdict == verdict and found.reason.startswith(reason)
    assert found.estimand == "median"


def test_only_diverged_pairs_have_no_mean_of_those_that_trained():
    found = decided(np.full(10, 0.8), diverged(), diverged(*range(10)))
    assert math.isnan(found.divergence.both) and found.verdict == "supported"


def test_bounds_have_no_mean():
    claim = Claim(GAIN - 0.01, GAIN + 0.01, 0.01, trained=Trained(diverged(), diverged(2)))
    found = decide_together([claim], np.random.default_rng(0))[0]
    assert math.isnan(found.divergence.all.value) and found.divergence.all.interval is None


def test_arrays_must_go_together():
    for arm, baseline in ((diverged(n=9), diverged()), (diverged(n=9), diverged(n=9))):
        with pytest.raises(ValueError, match=r"go together|per replicate"):
            decided(GAIN, arm, baseline)
