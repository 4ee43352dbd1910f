"""Numbers of a verdict in words, those that are missing as well."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bnbench.comparison import Arm, ask
from bnbench.stats import decide
from bnbench.study import Row, StudyClaim
from bnbench.study.questions import load_questions, question_names
from bnbench.study.wording import centre, number, sentence, signed

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
