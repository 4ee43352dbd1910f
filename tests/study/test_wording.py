"""Numbers of a verdict in words, those that are missing as well."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bnbench.comparison import Arm, ask
from bnbench.stats import decide
from bnbench.study import Row, StudyClaim, as_table
from bnbench.study.probe_measures import ProbeValue
from bnbench.study.questions import load_questions, question_names
from bnbench.study.views import with_units
from bnbench.study.wording import centre, effect, interval, number, sentence, signed

ARMS = [Arm(name, (f"norm={name}",)) for name in ("rms", "batch")]
CLAIMS = {
    claim.name: claim
    for one in ask(load_questions(question_names()), ARMS, [("rms", "batch")], "smoke")
    for claim in one.study.claims
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_number_that_is_missing_is_no_result(claim: StudyClaim):
    decision = decide([math.nan] * 3, claim.smallest_effect, np.random.default_rng(0))
    centres = {(arm, cell): math.nan for arm in claim.compare for cell in claim.cells}
    row = Row("s", claim, decision, math.nan, math.nan, math.nan, centres, dict.fromkeys(centres, 0), {})
    for words in (centre, number, signed):
        assert words(row, math.nan) == "no result"
        assert any(digit in words(row, 0.25) for digit in "25")
    assert "nan" not in sentence(row) and "infinite" not in sentence(row)


@pytest.mark.parametrize("name", ["running", "adapted"])
def test_accuracies_that_a_probe_measures_are_in_percent_and_exported_as_fractions(name: str):
    claim = next(claim for claim in CLAIMS.values() if claim.name.startswith(name))
    decision = decide([0.01, 0.0104, 0.0108], claim.smallest_effect, np.random.default_rng(0))
    centres = dict(zip(claim.groups, (0.1264, 0.116), strict=True))
    row = Row("s", claim, decision, 0.0104, 0.004, 0.0204, centres, dict.fromkeys(centres, 0), {})
    assert (effect(row), interval(row)) == ("+1.0 points", "+0.4 to +2.0 points")
    assert [centre(row, value) for value in centres.values()] == ["12.6%", "11.6%"]
    assert "accuracy at 0.4 times the contrast was 1.0 points higher with" in sentence(row)
    assert list(with_units([row])["unit"]) == ["points"]
    exported = as_table([row]).iloc[0]
    assert (exported["effect"], exported["low"], exported["high"]) == (0.0104, 0.004, 0.0204)


def test_a_share_s_distance_from_an_ideal_is_no_share():
    assert ProbeValue("shift", "clean_running", share=True).percent
    assert not ProbeValue("shift", "clean_running", share=True, ideal=1.0).percent
    assert not ProbeValue("gradient_flow", "gradient_growth").percent
