"""A comparison from Python: its dossier, and the call that repeats it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

import bnbench
from bnbench import comparison, session
from bnbench.reports import plain_text
from bnbench.study import Place, Study
from tests.cli.finished import finish

ACCURACY = {"group": 0.75, "batch": 0.5}
"""Of the runs that are laid down, by their norm."""


def lay_down(words: list[str], against: list[str], *, but: str = "") -> None:
    """All runs of a comparison at the scale smoke in the folder results, as if they were trained, those between which a
    limit is searched for among them; but those of one question.
    """
    place = Place(Path("results"), Path("data"))
    request = comparison.read_comparison(words, against, [], "smoke", place)

    def train(one: Study, part: str, plan: session.Plan) -> session.Summary:
        specs = [plan.specs[run] for run in plan.pending]
        for norm, trains in product(ACCURACY, (True, False)):
            some = [spec for spec in specs if spec.norm.name == norm and (0.02 < spec.lr < 5) == trains]
            ends = {"test_accuracy": ACCURACY[norm], "val_accuracy": 0.9 if trains else 0.1}
            finish(plan.folder, some, status="completed", **ends)
        return session.Summary(plan.folder, dict.fromkeys(plan.pending, "completed"), len(specs))

    for size in comparison.sizes(request.asked, "smoke", place)[0]:
        if size.asked.name != but:
            comparison.answered(size, comparison.Terms("smoke", place, request.claims), train)


def _results(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*/*.csv")}


def test_the_call_of_a_dossier_repeats_it_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs that are laid down stand for those that were trained."""
    monkeypatch.chdir(tmp_path)
    lay_down(["group groups=2"], ["batch"])
    before = _results(Path("results"))
    first = bnbench.compare(
        "group groups=2", against=("batch",), scale="smoke", jobs=1, results=Path("results"), data="data"
    )
    call = dict(first.report.provenance)["command"]
    assert call == (
        "bnbench.compare('group groups=2', against=['batch'], scale='smoke', jobs=1, results='results', data='data')"
    )
    again = eval(call, {"bnbench": bnbench})
    assert _results(Path("results")) == before and len(before) >= 10
    assert str(again) == str(first)
    verdicts = again.report.views[0].tables[0]
    cells = {plain_text(row[0]): plain_text(row[2]) for row in verdicts.rows}
    assert len(cells) == 17 and cells["accuracy"] == "? +25.0 points"
