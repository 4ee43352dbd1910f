"""Comparisons whose runs nobody trained."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from bnbench import comparison, session
from bnbench.study import Place, Study
from tests.cli.finished import finish

ACCURACY = {"group": 0.75, "batch": 0.5}
"""Of the runs that are laid down, by their norm."""


def lay_down(words: list[str], against: list[str], *, but: str = "", plugin: Path | None = None) -> None:
    """All runs of a comparison at the scale smoke in the folder results, as if they were trained, those between which a
    limit is searched for among them; but those of one question.
    """
    place = Place(Path("results"), Path("data"), plugin)
    request = comparison.read_comparison(words, against, [], "smoke", place)

    def train(one: Study, part: str, plan: session.Plan) -> session.Summary:
        specs = [plan.specs[run] for run in plan.pending]
        for norm, trains in product({spec.norm.name for spec in specs}, (True, False)):
            some = [spec for spec in specs if spec.norm.name == norm and (0.02 < spec.lr < 5) == trains]
            ends = {"test_accuracy": ACCURACY.get(norm, 0.6), "val_accuracy": 0.9 if trains else 0.1}
            finish(plan.folder, some, status="completed", **ends)
        return session.Summary(plan.folder, dict.fromkeys(plan.pending, "completed"), len(specs))

    for size in comparison.sizes(request.asked, "smoke", place)[0]:
        if size.asked.name != but:
            comparison.answered(size, comparison.Terms("smoke", place, request.claims), train)
