"""The rule for a verdict: one case for each of its branches, and the laws it obeys."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bnbench.errors import InvalidRequest
from bnbench.stats import Claim, decide, decide_together, holm, sign_flip_test

WOBBLE = np.array([-0.3, 0.1, 0.2, -0.1, 0.3, 0.0, -0.2, 0.15, -0.15, 0.05])
"""Ten differences of mean 0.005."""
OPPOSITE = {"supported": "contradicted", "contradicted": "supported"}


def generator(seed=0):
    return np.random.default_rng(seed)


def verdict(differences, smallest_effect=0.5, **options):
    return decide(differences, smallest_effect, generator(), **options)


@pytest.mark.parametrize(
    ("differences", "expected", "reason"),
    [
        (WOBBLE + 1, "supported", "effect 1.01 is at least the smallest effect of interest 0.5 (p = 0.002)"),
        (WOBBLE - 1, "contradicted", "effect -0.995 is at least"),
        (WOBBLE, "no difference", "the effect 0.005 is below the smallest effect of interest 0.5 (p = 0.00098)"),
        (WOBBLE + 0.25, "no difference", "there is a difference (p = 0.0059), but effect 0.255 is below"),
        (WOBBLE + 0.4, "inconclusive", "there is a difference (p = 0.002), but it may be below"),
        (WOBBLE * 10 + 0.5, "inconclusive", "neither a difference (p = 0.42) nor its absence is shown; effect 0.55"),
    ],
)
def test_every_branch(differences, expected, reason):
    found = verdict(differences)
    assert found.verdict == expected
    assert found.reason.startswith(reason)
    assert found.effect == pytest.approx(differences.mean()) and found.n == 10
    assert found.p == sign_flip_test(differences, generator())


def test_a_long_tail_toward_zero_is_no_evidence():
    """The sign-flip test alone rejects; t, which sees the tail, does not, and the interval holds zero."""
    differences = np.array([2.0, 2.1, 0.0, 1.9, 0.2, 2.2, 2.0, -0.6, 1.8, 2.3])
    found = verdict(differences)
    assert sign_flip_test(differences, generator()) <= 0.05 < found.p and not found.interval.excludes(0.0)
    assert found.verdict == "inconclusive" and "neither a difference" in found.reason


def test_an_effect_as_large_as_the_smallest_is_large_enough():
    differences = np.tile([0.2, 0.4], 5)
    assert differences.mean() != 0.3
    assert verdict(differences, 0.3).verdict == "supported"


@pytest.mark.parametrize("n", range(6))
def test_fewer_than_six_replicates_can_only_be_inconclusive(n):
    for differences in (np.arange(n) + 100.0, np.zeros(n)):
        found = verdict(differences)
        assert found.verdict == "inconclusive" and found.interval is None
        assert found.reason == f"6 replicates are needed to reach p <= 0.05; there {'is' if n == 1 else 'are'} {n}"
    assert verdict(np.arange(6) + 100.0).verdict == "supported"


def test_values_that_are_missing_or_have_no_mean():
    missing = verdict([1.0, 2.0, math.nan, *[1.5] * 7])
    assert missing.verdict == "inconclusive" and missing.reason == "1 of 10 replicates without a value"
    assert math.isnan(missing.effect) and missing.p == 1 and missing.n == 10
    infinite = verdict([1.0, 2.0, math.inf, *[1.5] * 7])
    assert infinite.verdict == "inconclusive" and "decide their median" in infinite.reason


def test_a_median_can_be_infinite():
    """The logarithm of the speed-up, where the baseline never reaches the target in eight of ten replicates."""
    speed_ups = [math.inf] * 8 + [1.0, 2.0]
    assert verdict(speed_ups, estimand="median").verdict == "supported"
    assert verdict(np.negative(speed_ups), estimand="median").verdict == "contradicted"
    assert verdict([*WOBBLE[:9], math.inf], estimand="median").verdict == "no difference"
    assert verdict([math.inf, -math.inf] * 5, estimand="median").verdict == "inconclusive"


def test_claims_are_adjusted_for_each_other():
    claims = [Claim.of(WOBBLE * scale + 1, 0.5) for scale in (1, 3, 8, 9)]
    alone = [decide(claim.low, 0.5, generator()) for claim in claims]
    together = decide_together(claims, generator())
    assert [one.p for one in together] == pytest.approx(holm([one.p for one in alone]))
    assert [one.verdict for one in alone] == ["supported"] * 2 + ["inconclusive"] * 2
    many = decide_together([*claims, *[Claim.of(WOBBLE, 0.5)] * 30], generator())
    assert [one.verdict for one in many] == ["inconclusive"] * 34
    assert many[0].reason == "11 replicates are needed to reach p <= 0.05 for 34 claims together; there are 10"


def test_a_verdict_does_not_depend_on_other_studies():
    """Two studies of a family of 12: Holm within each, times its share; together it is never less strict."""
    studies = [[Claim.of(WOBBLE * scale + 1, 0.5) for scale in scales] for scales in ((1, 3), (2, 4, 8))]
    for study in studies:
        alone = decide_together(study, generator(), family=12)
        raw = [one.raw_p for one in alone]
        assert [one.p for one in alone] == pytest.approx(np.minimum(holm(raw) * 12 / len(study), 1))
        assert raw == [decide(claim.low, 0.5, generator()).p for claim in study]
        assert min(one.p for one in alone) == pytest.approx(12 * min(raw))
    few = decide_together([Claim.of(np.arange(8) + 100.0, 0.5)], generator(), family=12)[0]
    assert few.reason == "9 replicates are needed to reach p <= 0.05 for 12 claims together; there are 8"
    with pytest.raises(ValueError, match="family=1"):
        decide_together(studies[0], generator(), family=1)


def test_claims_that_cannot_be_decided_count():
    alone, lost = decide_together([Claim.of(WOBBLE + 1, 0.5), Claim.of([math.nan] * 10, 0.5)], generator())
    assert lost.verdict == "inconclusive" and lost.p == 1
    assert alone.verdict == "supported" and alone.p == 2 * 2 / 2**10
    assert decide_together([], generator()) == []


@pytest.mark.parametrize("smallest", [0.0, -1.0, math.nan, math.inf])
def test_a_smallest_effect_is_asked_for(smallest):
    with pytest.raises(InvalidRequest, match="smallest_effect"):
        verdict(WOBBLE, smallest)


differences = st.lists(st.integers(-30, 60).map(lambda value: value / 10), min_size=5, max_size=9)


@settings(max_examples=80, deadline=None)
@given(differences, st.floats(0.1, 3, allow_subnormal=False), st.sampled_from(["mean", "median"]))
@example([0.0, 0.4, -0.5, -0.8, 0.9], 1.0, "mean")  # a mean of zero has no side
def test_swapping_the_arms_turns_the_verdict(values, smallest, estimand):
    one, other = (verdict(sign * np.array(values), smallest, estimand=estimand) for sign in (1, -1))
    assert (one.p, one.equivalence_p, one.effect) == pytest.approx((other.p, other.equivalence_p, -other.effect))
    if one.interval:
        mirrored = -other.interval.high, -other.interval.low
        assert (one.interval.low, one.interval.high) == pytest.approx(mirrored, abs=1e-9)
        assume(min(abs(one.interval.low), abs(one.interval.high)) > 1e-9)
    assert OPPOSITE.get(one.verdict, one.verdict) == other.verdict


@settings(max_examples=80, deadline=None)
@given(differences, st.floats(0.1, 3, allow_subnormal=False))
def test_a_verdict_follows_from_its_numbers(values, smallest):
    found = verdict(values, smallest)
    if found.verdict == "supported":
        assert found.p <= 0.05 and found.interval.low > 0 and found.effect >= smallest * (1 - 1e-6)
    if found.verdict == "no difference":
        assert found.equivalence_p <= 0.05 and abs(found.effect) < smallest
    if found.verdict == "inconclusive" and len(values) >= 6:
        assert found.equivalence_p > 0.05
    assert verdict(values, smallest) == found
