"""Kaplan-Meier against statsmodels and a published curve; expected running time by hand."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

from bnbench.stats import expected_running_time, kaplan_meier, success_rate

WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
"""Remission under 6-mercaptopurine, Freireich et al. 1963."""


def test_the_leukaemia_trial():
    """Cox & Oakes 1984, table 4.1."""
    curve = kaplan_meier(WEEKS, RELAPSED)
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}
    found = dict(zip(curve.steps_T.tolist(), curve.share_T.tolist(), strict=True))
    assert {step: round(found[step], 3) for step in published} == published
    assert curve.median == 23


def test_it_is_the_curve_of_statsmodels():
    random = np.random.default_rng(0)
    spent, reached = random.integers(1, 30, 40), random.random(40) < 0.7
    theirs, ours = SurvfuncRight(spent, reached), kaplan_meier(spent, reached)
    share = dict(zip(ours.steps_T.tolist(), ours.share_T.tolist(), strict=True))
    assert [share[step] for step in theirs.surv_times] == pytest.approx(theirs.surv_prob.tolist())


def test_limits():
    """Of the five runs 1, 2, 3+, 4, 4+; the limits as lifelines 0.30 gives them."""
    curve = kaplan_meier([1, 2, 3, 4, 4], [True, True, False, True, False])
    assert curve.share_T == pytest.approx([0.8, 0.6, 0.6, 0.3])
    assert curve.low_T == pytest.approx([0.203809, 0.125730, 0.125730, 0.012302], abs=1e-6)
    assert curve.high_T == pytest.approx([0.969180, 0.881756, 0.881756, 0.719218], abs=1e-6)


def test_runs_that_all_miss_or_all_reach():
    never = kaplan_meier([5, 5, 5], [False] * 3)
    assert never.median == math.inf and never.share_T.tolist() == [1] and np.isnan(never.low_T).all()
    always = kaplan_meier([1, 2, 3], [True] * 3)
    assert always.median == 2 and always.share_T[-1] == 0


def test_expected_running_time():
    """Two runs of 100 and 300 steps reach the target, one spends 500 without: 900 steps for two successes."""
    assert expected_running_time([100, 300, 500], [True, True, False]) == 450
    assert expected_running_time([500, 500], [False, False]) == math.inf
    with pytest.raises(ValueError, match="go together"):
        expected_running_time([500, 500], [False])


@pytest.mark.parametrize(
    ("successes", "runs", "low", "high"), [(0, 10, 0.0, 0.278), (8, 10, 0.490, 0.943), (10, 10, 0.722, 1.0)]
)
def test_success_rates(successes, runs, low, high):
    """Wilson's limits, (2 k + z^2 +- z sqrt(z^2 + 4 k (1 - k / n))) / (2 (n + z^2)), with z = 1.96."""
    found = success_rate(successes, runs)
    assert found.value == successes / runs
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=5e-4)


def test_success_rates_are_those_of_statsmodels():
    for runs in (1, 7, 30):
        for successes in range(runs + 1):
            found = success_rate(successes, runs).interval
            theirs = proportion_confint(successes, runs, method="wilson")
            assert (found.low, found.high) == pytest.approx(theirs, abs=1e-12)


def test_the_limits_of_the_leukaemia_trial_are_greenwoods():
    """From the standard errors of statsmodels, on the scale of log(-log(share))."""
    curve, theirs = kaplan_meier(WEEKS, RELAPSED), SurvfuncRight(WEEKS, RELAPSED)
    share, error = theirs.surv_prob, theirs.surv_prob_se
    spread = scipy_stats.norm.ppf(0.975) * error / (share * np.abs(np.log(share)))
    at = [curve.steps_T.tolist().index(step) for step in theirs.surv_times]
    assert curve.low_T[at] == pytest.approx(share ** np.exp(spread))
    assert curve.high_T[at] == pytest.approx(share ** np.exp(-spread))
