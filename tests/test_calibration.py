"""A short calibration: intervals hold the truth and verdicts are right as often as docs/statistics.md says.

The bounds are three standard errors of the simulation beyond the promise.
"""

import math

import numpy as np
import pytest

from benchmarks.calibration import OUTCOMES, against_itself, case_row, coverage, power, table
from benchmarks.calibration_cases import CASES, RATES, TOGETHER, shifted

SIMULATIONS = 300
FEW = 120


def generator(seed=0):
    return np.random.default_rng(seed)


def error(share, simulations=SIMULATIONS):
    return math.sqrt(share * (1 - share) / simulations)


@pytest.mark.parametrize(
    ("name", "promised"), [("normal", 0.95), ("t, 3 degrees of freedom", 0.94), ("lognormal, sigma 1", 0.93)]
)
def test_coverage(name, promised):
    found = coverage(name, SIMULATIONS, 10, generator())
    assert found["mean_interval"] >= promised - 3 * error(promised)
    assert found["mean_interval"] >= max(found["sign-flip"], found["stretched t"])
    assert found["median_interval"] >= 0.979 - 3 * error(0.979)


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_arm_does_not_differ_from_itself(name):
    found = against_itself(name, SIMULATIONS, 10, generator())
    assert found["supported"] + found["contradicted"] <= 0.05 + 3 * error(0.05)


def test_power():
    assert power(2.0, 1.0, SIMULATIONS, 10, generator())["supported"] >= 0.95
    assert power(0.0, 0.5, SIMULATIONS, 10, generator())["no difference"] >= 0.95
    assert power(1.0, 1.0, SIMULATIONS, 10, generator())["no difference"] <= 0.05 + 3 * error(0.05)
    assert power(-2.0, 1.0, SIMULATIONS, 10, generator())["contradicted"] >= 0.95


TAIL_TOWARD_ZERO = "lognormal, sigma 1, mean zero"
"""The one kind whose interval may hold the truth in less than 93%."""
TAIL_BEYOND_THE_EFFECT = "lognormal, sigma 1, at the smallest effect"
"""The one kind that is wrongly called no difference more often than in 5%, by the sign-flip test alone in 20%."""


@pytest.mark.parametrize("name", [*CASES, *RATES])
def test_every_kind_of_comparison(name):
    found = case_row((CASES | RATES)[name], FEW, (10, 20), generator())
    promised = 0.91 if name == TAIL_TOWARD_ZERO else 0.93
    wrong = 0.08 if name == TAIL_BEYOND_THE_EFFECT else 0.05
    for n in (10, 20):
        assert found[f"holds {n}"] >= promised - 3 * error(promised, FEW)
        assert found[f"false {n}"] <= wrong + 3 * error(wrong, FEW)


def test_no_claim_of_a_family_is_often_wrong():
    """One of 23, so 0.2% in each are 5% in all."""
    for name in ("normal, effect 0 sd", "t, 3 degrees of freedom, effect 0 sd"):
        assert case_row(TOGETHER[name], SIMULATIONS, (10, 20), generator())["false 20"] <= 0.05 / 23 + 3 * error(0.002)


@pytest.mark.parametrize(("effect", "n", "least"), [(1.0, 10, 0.15), (1.5, 10, 0.46), (0.75, 20, 0.39)])
def test_power_in_a_family(effect, n, least):
    found = case_row(shifted("normal", effect, 23), SIMULATIONS, (n,), generator())
    assert found[f"supported {n}"] >= least - 3 * error(least)


def test_the_tables():
    assert table("head", {"a": {"x": 0.5, "y": 1.0}}) == "| head | x | y |\n|---|--:|--:|\n| a | 50.0 | 100.0 |"
