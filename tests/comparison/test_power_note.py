"""The difference that so many replicates find, as it is said before training: by the noncentral t and by trial."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from bnbench.comparison import power_note, read_comparison
from bnbench.stats import ALPHA
from bnbench.study import Place

NOTE = re.compile(
    r"(\d+) replicates find a difference of ([\d.]+) standard deviations in four of five comparisons;"
    r" half of it takes seeds=(\d+)"
)


def _said(words: list[str], against: list[str]) -> tuple[int, float, int, int]:
    """Replicates, effect, replicates for half of it, and claims."""
    request = read_comparison(words, against, [], "cpu", Place(Path("absent"), Path("absent")))
    found = NOTE.fullmatch(power_note(request))
    assert found is not None, power_note(request)
    return int(found[1]), float(found[2]), int(found[3]), request.claims


@pytest.mark.parametrize(
    ("words", "against", "replicates", "claims"),
    [
        (["rms"], ["batch"], 22, 17),
        (["rms", "seeds=60"], ["batch"], 60, 17),
        (["rms"], [], 22, 68),
        (["rms", "layer", "seeds=40"], ["batch", "none"], 40, 68),
    ],
)
def test_both_numbers_are_about_those_of_students_t(words: list[str], against: list[str], replicates: int, claims: int):
    """p must be below alpha over all claims; the rule's second judge asks for a little more than Student's t alone."""
    said, effect, needed, family = _said(words, against)
    assert (said, family) == (replicates, claims)
    power, level = TTestPower(), ALPHA / claims
    students = power.solve_power(nobs=replicates, alpha=level, power=0.8, alternative="two-sided")
    assert students * 0.97 < effect < students * 1.15
    fewest = power.solve_power(effect_size=effect / 2, alpha=level, power=0.8, alternative="two-sided")
    assert fewest * 0.97 < needed < fewest * 1.15


def test_four_of_five_simulated_comparisons_find_it():
    """Their p by scipy alone: the larger of Student's and of that of random signs."""
    replicates, effect, needed, claims = _said(["rms"], ["batch"])
    generator = np.random.default_rng(5)
    for count, size in ((replicates, effect), (needed, effect / 2)):
        samples = generator.normal(size, 1, (1_000, count))
        signs = generator.choice([-1.0, 1.0], (20_000, count))
        flipped = np.array([np.mean(np.abs(signs @ one) >= abs(one.sum()) - 1e-12) for one in samples])
        p = np.maximum(stats.ttest_1samp(samples, 0, axis=1).pvalue, flipped)
        assert 0.76 < np.mean(p <= ALPHA / claims) < 0.88


def test_a_trial_is_said_to_decide_nothing():
    request = read_comparison(["rms"], ["batch"], [], "smoke", Place(Path("absent"), Path("absent")))
    assert power_note(request) == (
        "the scale smoke shows that a comparison runs; it has too few replicates to decide anything"
    )
