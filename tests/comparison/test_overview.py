"""Many arms against one in a table: the place and the verdict of each, and a true sentence for each reading."""

from __future__ import annotations

import math

import pytest

from bnbench.comparison import Arm, Asked, Comparison, ask, dossier_report, short_report
from bnbench.comparison.course import Dossier
from bnbench.comparison.overview import overview
from bnbench.comparison.ranks import Rank
from bnbench.comparison.views import verdict_view
from bnbench.reports import plain_text
from bnbench.schema import Known
from bnbench.stats import Decision, Interval, Verdict
from bnbench.study import Row
from bnbench.study.questions import load_questions

VERDICTS: dict[str, Verdict] = {
    "layer": "contradicted", "rms": "supported", "group": "supported", "ws": "no difference", "none": "inconclusive",
}  # fmt: skip
PLACES = {"group": 1, "rms": 2, "batch": 3.5, "ws": 3.5, "none": 5, "layer": 6}


def _asked(arms: list[str], rivals: list[str]) -> Asked:
    every = [Arm(name, (f"norm={name}",)) for name in [*arms, *rivals]]
    pairs = [(arm, rival) for arm in arms for rival in rivals]
    (one,) = ask(load_questions(["small_batch"]), every, pairs, "smoke")
    return one


def _row(asked: Asked, place: int, verdict: Verdict) -> Row:
    decision = Decision(
        verdict, "", 0.0, Interval(0, 0), None, 1.0, 1.0, 1.0, 1.0, n=2, estimand="mean", divergence=None
    )
    claim = asked.study.claims[place]
    centres = dict.fromkeys(claim.groups, 0.9)
    return Row("small_batch", claim, decision, 0.0, math.nan, math.nan, centres, {}, {})


def _dossier(asked: Asked) -> Dossier:
    verdicts = {arm: VERDICTS[arm] for arm, _ in asked.pairs}
    rows = [_row(asked, place, verdict) for place, verdict in enumerate(verdicts.values())]
    places = {arm: Rank(place, place, place, 22) for arm, place in PLACES.items()}
    return Dossier(rows={asked.name: rows}, ranks={(asked.name, "interaction"): places})


def test_each_arm_has_its_place_and_its_sign():
    asked = _asked([*VERDICTS], ["batch"])
    (table,) = overview([asked], _dossier(asked)).tables
    shown = {row[0].value: row[1].words for row in table.rows}
    assert shown == {
        "batch": "3.5", "layer": "6 <", "rms": "2 >", "group": "1 >", "ws": "3.5 =", "none": "5 ?",
    }  # fmt: skip
    assert [column.title for column in table.columns] == ["arm", "batch 64 to 2"]


def test_the_best_are_named_first():
    asked = _asked([*VERDICTS], ["batch"])
    view = overview([asked], _dossier(asked))
    expected = "batch 64 to 2: better than batch: group and rms; worse: layer; no difference: ws; inconclusive: none."
    assert view.notes == (expected,)
    assert view.sentences == ("batch 64 to 2: better than batch are group and rms; 1 arm is worse.",)


def test_the_summary_names_five_arms_at_most():
    better = [f"arm{number}" for number in range(8)]
    asked = _asked([*better, "last"], ["batch"])
    rows = [_row(asked, place, "supported") for place in range(8)] + [_row(asked, 8, "contradicted")]
    places = {arm: Rank(place, place, place, 22) for place, arm in enumerate(["batch", *better, "last"], 1)}
    dossier = Dossier(rows={asked.name: rows}, ranks={(asked.name, "interaction"): places})
    told = "batch 64 to 2: better than batch are arm0, arm1, arm2, arm3, arm4 and 3 more; 1 arm is worse."
    assert overview([asked], dossier).sentences == (told,)


def test_the_summary_says_that_none_is_better():
    asked = _asked(["a", "b", "c"], ["batch"])
    dossier = Dossier(rows={asked.name: [_row(asked, place, "inconclusive") for place in range(3)]})
    assert overview([asked], dossier).sentences == ("batch 64 to 2: no arm is better than batch; none is worse.",)


def test_an_arm_without_a_value_is_said_to_have_none():
    """As one that cannot be built in a question's network: its verdict is inconclusive, but nothing was asked of it."""
    asked = _asked([*VERDICTS], ["batch"])
    dossier = _dossier(asked)
    placed = {arm: rank for arm, rank in dossier.ranks[asked.name, "interaction"].items() if arm != "none"}
    dossier.ranks[asked.name, "interaction"] = placed
    view = overview([asked], dossier)
    assert view.notes[0].endswith("no difference: ws; without a value: none.")
    assert {row[0].value: row[1].words for row in view.tables[0].rows}["none"] == "n/a"


@pytest.mark.parametrize(
    ("arms", "rivals"), [(["layer", "rms"], ["batch"]), (["layer", "rms", "ws"], ["batch", "none"])]
)
def test_few_arms_or_several_rivals_have_tables_of_their_own(arms: list[str], rivals: list[str]):
    asked = _asked(arms, rivals)
    dossier = Dossier(rows={asked.name: [_row(asked, place, "inconclusive") for place in range(len(asked.pairs))]})
    assert not overview([asked], dossier).tables


def test_a_dossier_of_many_arms_begins_with_the_sentences_of_its_readings():
    asked = _asked([*VERDICTS], ["batch"])
    arms = tuple(Arm(name, (f"norm={name}",)) for name in [*VERDICTS, "batch"])
    report = dossier_report(Comparison(arms, (asked,), "smoke"), _dossier(asked), {}, Known(), "bnbench compare ...")
    assert report.title == "Comparison of 5 arms" and report.views[0].title == "Overview"
    together = overview([asked], _dossier(asked))
    assert report.summary == together.sentences and report.views[0] == together
    short = short_report(report)
    assert short.summary == report.summary and [view.title for view in short.views] == ["Overview"]
    assert not set(short.views[0].notes) & set(together.notes)


def test_what_questions_leave_open_is_the_last_table_of_the_dossier():
    asked = _asked(["layer"], ["batch"])
    arms = (Arm("layer", ("norm=layer",)), Arm("batch", ("norm=batch",)))
    report = dossier_report(Comparison(arms, (asked, asked), "smoke"), Dossier(), {}, Known(), "bnbench compare ...")
    (table,) = report.views[-1].tables
    told = [[plain_text(cell) for cell in row] for row in table.rows]
    assert report.views[-1].title == "Not tested"
    assert told == [["batch 64 to 2", text] for text in asked.question.not_tested]
    assert any("batch 128, 32 and 8" in text for _, text in told)
    assert any("at which training breaks" in text for _, text in told)


def test_tables_of_signs_and_places_say_where_their_intervals_are():
    asked = _asked([*VERDICTS], ["batch"])
    dossier = _dossier(asked)
    (table,) = overview([asked], dossier).tables
    assert "Under Ranks are the 95% intervals of places" in table.notes[0]
    for shown in (table, *verdict_view([asked], dossier, ["layer"]).tables):
        assert "figure of each reading, under How it was decided" in shown.notes[0]
