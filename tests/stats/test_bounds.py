"""Differences that are known within bounds only: misses, and learning rates between two that were tried."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnbench.stats import Claim, Draws, Interval, decide, decide_together, speed_up_bounds

INF = math.inf
KNOWN = np.linspace(0.6, 1.4, 10)


def decided(low, high, smallest=0.5, estimand="median"):
    return decide_together([Claim(low, high, smallest, estimand)], np.random.default_rng(0))[0]


def changed(values, at, value):
    return [value if place in at else known for place, known in enumerate(values)]


@pytest.mark.parametrize(
    ("low", "high", "effect", "bounds", "interval", "verdict"),
    [
        pytest.param(KNOWN, KNOWN, 1.0, (1.0, 1.0), (KNOWN[1], KNOWN[8]), "supported", id="known"),
        pytest.param(
            changed(KNOWN, {9}, -INF),
            changed(KNOWN, {9}, INF),
            (KNOWN[4] / 2 + KNOWN[3] / 2 + 1) / 2,
            (KNOWN[4] / 2 + KNOWN[3] / 2, 1.0),
            (KNOWN[0], KNOWN[8]),
            "supported",
            id="one replicate that both arms miss",
        ),
        pytest.param(
            changed(KNOWN, {8, 9}, -INF),
            changed(KNOWN, {8, 9}, INF),
            (KNOWN[2] / 2 + KNOWN[3] / 2 + 1) / 2,
            (KNOWN[2] / 2 + KNOWN[3] / 2, 1.0),
            (-INF, INF),
            "inconclusive",
            id="two that both miss",
        ),
        pytest.param(KNOWN, [INF] * 10, 1.0, (1.0, INF), (KNOWN[1], INF), "supported", id="the baseline misses all"),
        pytest.param([-INF] * 10, -KNOWN, -1.0, (-INF, -1.0), (-INF, -KNOWN[1]), "contradicted", id="the arm does"),
        pytest.param([INF] * 10, [INF] * 10, INF, (INF, INF), (INF, INF), "supported", id="infinite"),
        pytest.param([-INF] * 10, [INF] * 10, math.nan, (-INF, INF), (-INF, INF), "inconclusive", id="nothing known"),
        pytest.param(
            KNOWN - 0.7,
            KNOWN + 0.7,
            1.0,
            (0.3, 1.7),
            (KNOWN[1] - 0.7, KNOWN[8] + 0.7),
            "inconclusive",
            id="a wide step",
        ),
    ],
)
def test_every_kind_of_bound(low, high, effect, bounds, interval, verdict):
    found = decided(low, high)
    assert found.effect == pytest.approx(effect, nan_ok=True)
    assert (found.bounds.low, found.bounds.high) == pytest.approx(bounds)
    assert (found.interval.low, found.interval.high) == pytest.approx(interval)
    assert found.verdict == verdict
    assert found.n == 10


def test_a_mean_within_bounds():
    found = decided(KNOWN - 0.1, KNOWN + 0.1, estimand="mean")
    low, high = (decide(KNOWN + step, 0.5, np.random.default_rng(0)) for step in (-0.1, 0.1))
    assert found.interval == Interval(low.interval.low, high.interval.high)
    assert found.p == max(low.p, high.p) and found.effect == pytest.approx(1.0)
    assert found.reason.startswith("effect 1 (known within 0.9 to 1.1) is at least")


def test_no_difference_needs_both_bounds():
    wobble = np.linspace(-0.1, 0.1, 10)
    assert decided(wobble - 0.1, wobble + 0.1).verdict == "no difference"
    assert decided(wobble - 0.1, wobble + 0.6).verdict == "inconclusive"


def test_bounds_must_go_together():
    for low, high in (([1.0, 2.0], [1.0]), ([2.0] * 6, [1.0] * 6)):
        with pytest.raises(ValueError, match=r"bounds|above high"):
            decided(low, high)
    assert decided(changed(KNOWN, {3}, math.nan), KNOWN).reason == "1 of 10 replicates without a value"
    assert "decide their median" in decided(KNOWN, changed(KNOWN, {3}, INF), estimand="mean").reason


steps = st.lists(st.tuples(st.integers(-20, 40), st.integers(0, 30), st.integers(0, 30)), min_size=6, max_size=12)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from(["mean", "median"]))
def test_more_is_never_said_of_less_that_is_known(values, estimand):
    known, below, above = (np.array(column) / 10 for column in zip(*values, strict=True))
    exact, wide = decided(known, known, 0.5, "median"), decided(known - below, known + above, 0.5, "median")
    assert wide.p >= exact.p - 1e-12 and wide.equivalence_p >= exact.equivalence_p - 1e-12
    assert wide.interval.low <= exact.interval.low and wide.interval.high >= exact.interval.high
    one = decided(known - below, known + above, 0.5, estimand)
    other = decided(-known - above, -known + below, 0.5, estimand)
    assert (one.p, one.equivalence_p, one.effect) == pytest.approx((other.p, other.equivalence_p, -other.effect))


@pytest.mark.parametrize(("n", "least"), [(10, 0.41), (20, 0.9)])
def test_misses_cost_little_power(n, least):
    """Twice as fast, a spread of a third, and a budget that the slower arm exceeds in half of the replicates."""
    random = np.random.default_rng(0)
    draws, verdicts = Draws(random, 999, 999), []
    for _ in range(200):
        arm = np.exp(random.normal(0, 0.33, n))
        baseline = 2 * np.exp(random.normal(0, 0.33, n))
        seen = [np.where(times > 2, INF, times) for times in (arm, baseline)]
        low, high = speed_up_bounds(*seen, 2.0, 2.0)
        verdicts.append(decide_together([Claim(low, high, math.log(1.25), "median")], draws)[0].verdict)
    assert verdicts.count("supported") >= least * 200 and "contradicted" not in verdicts
