"""The target of a task in all that is said of it: verdicts, ranks, values over tasks, and their words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bnbench.comparison import Asked, Dossier, read_comparison
from bnbench.comparison.aggregate_views import over_tasks_view, pairs_view
from bnbench.comparison.aggregates import over_tasks
from bnbench.comparison.ranks import Rank, ranks
from bnbench.comparison.values import replicate_values
from bnbench.comparison.views import decision_view, rank_view, verdict_view
from bnbench.study import Findings, Place
from bnbench.study.measure import Tables
from bnbench.study.scorecards import decided
from bnbench.study.tuning import Tuning

REPLICATES = 22
STEPS = {"layer": 50, "batch": 200}
"""At which an arm comes from 90% to 95%; both are at 90% after 10 steps."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    """The question of convergence at 90% and at 95%."""
    folder: Path = tmp_path_factory.mktemp("targets")
    request = read_comparison(
        ["layer"], ["batch"], ["digits-mlp", "mnist-mlp"], "cpu", Place(folder / "results", folder / "data")
    )
    return [one for one in request.asked if one.question.name == "convergence"]


def _findings(asked: Asked) -> Findings:
    runs, metrics = [], []
    for arm, steps in STEPS.items():
        for pair in range(REPLICATES):
            run = f"{arm}{pair}"
            runs.append({"arm": arm, "cell": "all", "pair": pair, "lr": 1.0, "run_id": run, "counted": True,
                         "diverged": False, "val": 0.96, "test": 0.96, "chance": 0.1, "steps_done": 400,
                         "refined": False})  # fmt: skip
            metrics += [(run, step, value) for step, value in ((10, 0.91), (steps + pair, 0.96))]
    tables = Tables(
        pd.DataFrame(runs), pd.DataFrame(metrics, columns=["run_id", "step", "val_accuracy"]), pd.DataFrame()
    )
    return Findings(asked.study, "cpu", tables, tables, Tuning({}, {}), frozenset())


@pytest.fixture(scope="module")
def dossier(asked: list[Asked]) -> Dossier:
    found = Dossier()
    for one in asked:
        findings = _findings(one)
        found.rows[one.name] = decided(findings, 4)
        for reading in one.readings:
            values = found.values[one.name, reading.name] = replicate_values(findings, reading)
            found.ranks[one.name, reading.name] = ranks(values, reading)
    return found


def test_verdicts_values_and_ranks_are_those_at_the_target(asked: list[Asked], dossier: Dossier):
    at_90, at_95 = (one.name for one in asked)
    assert [dossier.rows[name][0].decision.verdict for name in (at_90, at_95)] == ["no difference", "supported"]
    assert set(dossier.values[at_90, "steps"].to_numpy().ravel()) == {10.0}
    values = dossier.values[at_95, "steps"]
    assert {arm: list(values[arm]) for arm in STEPS} == {
        arm: [float(first + pair) for pair in range(REPLICATES)] for arm, first in STEPS.items()
    }
    assert dossier.ranks[at_90, "steps"] == {
        "layer": Rank(1.5, 1.5, 1.5, REPLICATES),
        "batch": Rank(1.5, 1.5, 1.5, REPLICATES),
    }
    assert dossier.ranks[at_95, "steps"] == {"layer": Rank(1, 1, 1, REPLICATES), "batch": Rank(2, 2, 2, REPLICATES)}


def test_over_tasks_each_counts_at_its_target(asked: list[Asked], dossier: Dossier):
    """All alike on the first task, the arm better in each pair of runs on the second."""
    steps, accuracy = over_tasks(asked, dossier)
    assert steps.pairs[0].improvement.value == pytest.approx((0.5 + 1) / 2)
    assert accuracy.pairs[0].improvement.value == 0.5
    (table,) = over_tasks_view([steps], ["layer"]).tables
    assert table.rows[0][0].value == "steps to 90% or 95%"
    (table,) = pairs_view([steps]).tables
    assert table.title == (
        "steps to 90% or 95%, over 2 tasks: How many steps does it take to 90% or 95% validation accuracy?"
    )


def test_heads_say_the_target(asked: list[Asked], dossier: Dossier):
    heads = ["steps to 90%, digits-mlp", "accuracy, digits-mlp", "steps to 95%, mnist-mlp", "accuracy, mnist-mlp"]
    for view in (verdict_view(asked, dossier, ["layer"]), rank_view(asked, dossier)):
        assert [row[0].value for row in view.tables[0].rows] == heads
    titles = [table.title for table in decision_view(asked, dossier).tables]
    assert titles[2] == "steps to 95%, mnist-mlp: How many steps does it take to 95% validation accuracy?"
    assert [one.study.claims[0].says for one in asked] == [one.readings[0].asks for one in asked]
    assert asked[1].heads == "steps to 95%, mnist-mlp; accuracy, mnist-mlp"
