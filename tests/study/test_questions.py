"""Questions: what is measured, said once, for studies and for comparisons of norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bnbench.errors import InvalidRequest
from bnbench.study import SCALES, load, names, read_study
from bnbench.study.questions import load_questions, question_names
from tests.study.files import TREE, study_file

CLAIM = {"says": "It is faster.", "reading": "steps", "compare": ["batch", "none"], "expect": "lower"}
STUDY = {"source": "nobody", "arms": TREE["arms"], "question": "convergence", "claims": {"fast": CLAIM}}


def test_every_question_is_complete():
    questions = load_questions(question_names())
    assert len(questions) == len(question_names()) >= 10
    for question in questions:
        assert set(question.scales) == set(SCALES) and question.not_tested, question.name
        for reading in question.readings:
            assert reading.asks.endswith("?") and set(reading.cells) <= set(question.cells), reading
            assert reading.smallest_effect > (1 if reading.contrast == "ratio" else 0), reading


def test_a_claim_measures_as_the_question_says(tmp_path: Path):
    (question,) = load_questions(["convergence"])
    (steps, _) = question.readings
    study = read_study(study_file(tmp_path, STUDY))
    (claim,) = study.claims
    assert (claim.measure, claim.contrast, claim.smallest_effect) == (steps.measure, "ratio", steps.smallest_effect)
    assert (study.fixed, study.scales, study.cells) == (question.fixed, question.scales, question.cells)
    assert study.not_tested == question.not_tested


def test_what_a_study_says_itself_goes_before_the_question(tmp_path: Path):
    own = {"fixed": ["model=mlp"], "scales": {"cpu": {"lr": [0.1], "seeds": 6}}, "not_tested": ["all else"]}
    claim = {**CLAIM, "smallest_effect": 3}
    study = read_study(study_file(tmp_path, {**STUDY, "claims": {"fast": claim}, **own}))
    assert study.fixed == ("model=mlp",) and list(study.scales) == ["cpu"] and study.not_tested == ("all else",)
    assert study.claims[0].smallest_effect == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"question": "convergense"}, "question=convergense: there is no such question; did you mean 'convergence'?"),
        ({"claims": {"fast": {**CLAIM, "reading": "step"}}}, "claims.fast.reading=step: did you mean 'steps'?"),
    ],
)
def test_a_misspelt_question_or_reading_is_named(tmp_path: Path, changes: dict[str, Any], says: str):
    with pytest.raises(InvalidRequest, match="mine") as error:
        read_study(study_file(tmp_path, {**STUDY, **changes}))
    assert any(says in problem for problem in error.value.problems), error.value.problems


def test_shipped_studies_say_nothing_twice():
    """What a study's file repeats of its question could come to differ from it."""
    from bnbench.paths import conf_dir

    for name in names():
        tree = yaml.safe_load((conf_dir() / "study" / f"{name}.yaml").read_text())
        if "question" in tree:
            assert not set(tree) & {"cells", "fixed", "alone", "scales"}, name
    assert len(load(names())) == len(names())
