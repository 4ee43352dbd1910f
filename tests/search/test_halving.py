"""Successive halving: who goes on, with which results, after which interruptions, and what is refused."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import bnbench
from bnbench import store
from bnbench.errors import InvalidRequest
from bnbench.search.effort import Effort
from bnbench.search.halving import Rung, Standing, best_of, rungs
from bnbench.search.journal import JOURNAL
from bnbench.search.rung_table import RUNGS_TABLE
from tests import warm
from tests.conftest import Program
from tests.products import long
from tests.search.test_search import LR, rows, stamps

WORDS = ("model=mlp", "model.width=16", "norm=batch", LR, "seed=0,1")
HALVING = ("--search", "random", "--trials", "9", "--halving", "3")
RESULT = (*store.OUTCOME[4:14], "status", "run_id")
"""Columns that are the same however a run was trained; of OUTCOME those behind the circumstances."""
FRAGILE = '''
import os
from torch import nn

class Fragile(nn.Module):
    """Ends its process in training if it is strong."""

    def __init__(self, num_features: int, *, strength: float = 1.0) -> None:
        super().__init__()
        self.calls, self.strength = 0, strength

    def forward(self, x):
        self.calls += x.shape[0] == 64
        if self.calls > 3 and self.strength > 2:
            os._exit(1)
        return self.strength * x

NORMS = {"fragile": Fragile}
'''


def verdicts(name: str) -> list[dict[str, str]]:
    with Path("results", name, RUNGS_TABLE).open() as stream:
        return list(csv.DictReader(stream))


def evaluations(name: str) -> dict[str, list[str]]:
    """The lines of metrics.csv by run."""
    found: dict[str, list[str]] = {}
    for line in Path("results", name, "metrics.csv").read_text().splitlines()[1:]:
        found.setdefault(line.partition(",")[0], []).append(line)
    return found


@pytest.mark.parametrize(
    ("trials", "epochs", "reduction", "expected"),
    [
        (9, 9, 3, [(9, 1), (3, 3), (1, 9)]),
        (27, 81, 3, [(27, 3), (9, 9), (3, 27), (1, 81)]),
        (12, 10, 3, [(12, 1), (4, 3), (1, 10)]),
        (9, 81, 3, [(9, 9), (3, 27), (1, 81)]),
        (100, 9, 3, [(100, 1), (33, 3), (11, 9)]),
        (8, 5, 2, [(8, 1), (4, 2), (2, 5)]),
        (2, 9, 3, [(2, 9)]),
    ],
)
def test_the_rungs(trials: int, epochs: int, reduction: int, expected: list[tuple[int, int]]):
    assert rungs(trials, epochs, reduction) == tuple(Rung(*one) for one in expected)


def test_the_epochs_that_are_saved():
    effort = Effort([rungs(9, 9, 3)], 2)
    assert (effort.epochs, effort.unhalved) == (2 * (9 * 1 + 3 * 2 + 1 * 6), 2 * 9 * 9)


@pytest.mark.parametrize(
    ("standings", "going"),
    [
        ([Standing(0.1), Standing(0.3), Standing(0.2)], {1, 2}),
        ([Standing(0.2), Standing(0.3), Standing(0.2)], {0, 1}),
        ([Standing(None), Standing(0.3), Standing(0.2)], {1, 2}),
        ([Standing(0.9, diverged=True), Standing(0.3), Standing(0.2)], {1, 2}),
        ([Standing(0.9, diverged=True), Standing(0.3), Standing(None)], {1}),
        ([Standing(0.1, diverged=True), Standing(0.0, True, is_over=True), Standing(0.2, diverged=True)], {0, 2}),
        ([Standing(0.0, True, is_over=True)] * 3, set()),
    ],
    ids=["best", "ties", "failed", "diverged", "fewer", "all have diverged runs", "nobody"],
)
def test_who_goes_on(standings: list[Standing], going: set[int]):
    assert best_of(dict(enumerate(standings)), 2) == going


@pytest.mark.parametrize("lanes", ["auto", "off"])
def test_the_winner_is_the_run_that_was_never_stopped(program: Program, lanes: str):
    """Nine trials, then three, then one; in stacks of compiled code, and each run by the reference engine."""
    call = ("sweep", "--name", "h", "--lanes", lanes, *HALVING, *WORDS, "epochs=9")
    planned = program(*call, "--dry-run")
    assert "rungs: 9 trials until epoch 1, 3 trials until epoch 3, 1 trial until epoch 9" in planned.out, planned.out
    assert "epochs of all runs: 42 of 162 (26%)" in planned.out and not Path("results").exists()
    done = program(*call)
    assert done.code == 0 and "trained 18 in" in done.out, done.err
    assert "rung 1 of 3, until epoch 1: 3 of 9 trials go on" in done.out
    assert "rung 2 of 3, until epoch 3: 1 of 3 trials go on" in done.out
    assert "9 trials (8 stopped at a rung), best is trial " in done.out and "2 completed, 16 stopped" in done.out
    by_trial: dict[str, list[dict[str, str]]] = {}
    for row in rows("h"):
        by_trial.setdefault(row["trial"], []).append(row)
    decided = verdicts("h")
    assert [one["epochs"] for one in decided] == ["1"] * 9 + ["3"] * 3
    (winner,) = (trial for trial, its in by_trial.items() if {row["status"] for row in its} == {"completed"})
    for epochs, count in (("1", 3), ("3", 1)):
        its = [one for one in decided if one["epochs"] == epochs]
        best = sorted(its, key=lambda one: (-float(one["value"]), int(one["trial"])))[:count]
        assert {one["trial"] for one in its if one["goes_on"] == "true"} == {one["trial"] for one in best}
    for trial, its in by_trial.items():
        last = [one for one in decided if one["trial"] == trial][-1]
        if trial != winner:
            assert all(row["epochs_done"] == f"{last['epochs']}.0" and not row["test_accuracy"] for row in its)
            assert float(last["value"]) == sum(float(row["val_accuracy"]) for row in its) / 2
    assert not Path("results/h/checkpoints").exists()

    before = stamps(Path("results"))
    again = program(*call)
    assert again.code == 0 and "nothing to train" in again.out and stamps(Path("results")) == before
    lr = by_trial[winner][0]["lr"]
    plain = program(
        "sweep", "--name", "plain", "--lanes", lanes, *(w for w in WORDS if w != LR), f"lr={lr}", "epochs=9"
    )
    assert plain.code == 0
    assert [[row[name] for name in RESULT] for row in rows("plain")] == [
        [row[name] for name in RESULT] for row in by_trial[winner]
    ]
    ours, theirs = evaluations("h"), evaluations("plain")
    assert len(theirs) == 2 and all(ours[identity] == lines for identity, lines in theirs.items())

    told = " ".join(program("report", "h").out.split())
    note = "16 runs stopped at a rung of the search: they have no final result, and no table counts them."
    assert told.count(note) == 3  # below each table
    listed = program("ls", "h", "status=stopped", "--columns", "run_id")
    assert len(listed.out.split()) == 17 and "2 completed, 16 stopped" in program("ls").out

    loser = next(one["trial"] for one in decided if one["goes_on"] == "false")  # a grid trains what it asks for
    grid = (*(w for w in WORDS if w != LR), f"lr={by_trial[loser][0]['lr']}", "epochs=9")
    asked = program("sweep", "--name", "h", "--lanes", lanes, *grid)
    assert asked.code == 0 and "trained 2 in" in asked.out and "2 completed" in asked.out, asked.out
    same = program(*call)
    assert "nothing to train; 4 completed, 14 stopped" in same.out and verdicts("h") == decided
    assert same.out.splitlines()[-2] == again.out.splitlines()[-2]  # the best trial


def until_killed(folder: Path, call: tuple[str, ...], step: int) -> None:
    """Kill a search in its second rung, once a checkpoint there is of a step behind this one."""
    begin = [sys.executable, "-m", "bnbench", *call, "--checkpoint-every", "0.001s"]
    process = warm.Popen(begin, cwd=folder, env={**os.environ, "PYTHONWARNINGS": "ignore"}, start_new_session=True)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(FileNotFoundError):
            there = [one for _, one in store.list_checkpoints(folder / "results/h") if one is not None]
            if (folder / "results/h" / RUNGS_TABLE).exists() and any(one.step > step for one in there):
                break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@long
def test_a_search_that_was_killed_in_a_rung_goes_on(program: Program, tmp_path: Path):
    call = ("sweep", "--name", "h", "--jobs", "2", *HALVING, *WORDS, "epochs=180")
    until_killed(tmp_path, call, 20 * 25)
    begun = {row["run_id"]: row for row in store.checked_rows(Path("results/h")).values()}
    first = verdicts("h")
    assert len(first) == 9 and {row["status"] for row in begun.values()} == {"interrupted", "stopped"}
    shutil.copytree("results/h", "killed")
    done = program(*call)
    assert done.code == 0 and "2 completed, 16 stopped" in done.out, done.err
    assert verdicts("h")[:9] == first
    going_on, logs = {one["trial"] for one in first if one["goes_on"] == "true"}, []
    for row in rows("h"):
        if row["trial"] in going_on:
            logs.append(Path("results/h/logs", f"{row['run_id']}.log").read_text())
        else:
            assert row == {**begun[row["run_id"]]}  # not trained again
    steps = [int(step) for log in logs for step in re.findall("went on from step ([0-9]+)", log)]
    assert len(steps) == len(logs) == 6 and set(steps) - {400, 1200}, "from within a rung, not where one began"
    shutil.move("results/h", "results/killed")
    assert program(*call).code == 0
    assert Path("results/h/metrics.csv").read_bytes() == Path("results/killed/metrics.csv").read_bytes()
    assert verdicts("h") == verdicts("killed")
    assert [[row[name] for name in RESULT] for row in rows("h")] == [
        [row[name] for name in RESULT] for row in rows("killed")
    ]


def test_each_arm_of_a_search_by_tpe_halves_by_itself(program: Program):
    """From Python: eight trials of each norm, then two more; what was stopped is pruned for Optuna."""
    import optuna

    words = ("model=mlp", "model.width=16", "norm=none,batch", LR, "epochs=4")
    asked = {"name": "tpe", "search": "tpe", "trials": 10, "per": "norm", "halving": 4}
    summary = bnbench.sweep(*words, **asked)
    assert summary.counts == {"completed": 8, "stopped": 12}  # two of eight, and the two that are too few to halve
    for norm in ("none", "batch"):
        its = [row for row in rows("tpe") if row["norm"] == norm]
        assert [row["trial"] for row in its] == [str(number) for number in range(10)]
        assert [row["status"] for row in its].count("completed") == 4
        decided = [one for one in verdicts("tpe") if one["arm"] == f"norm={norm}"]
        assert len(decided) == 8 and [one["goes_on"] for one in decided].count("true") == 2
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(Path("results/tpe", JOURNAL)))
    )
    trials = optuna.load_study(study_name="norm=batch", storage=storage).trials
    assert [trial.state.name for trial in trials].count("PRUNED") == 6
    before = stamps(Path("results"))
    assert bnbench.sweep(*words, **asked).trained == 0 and stamps(Path("results")) == before
    with pytest.raises(InvalidRequest, match="sweep tpe holds another search"):
        bnbench.sweep(*words, **{**asked, "trials": 12})
    with pytest.raises(InvalidRequest, match="--halving 1: must be at least 2"):
        bnbench.sweep(*words, **{**asked, "halving": 1})
    assert stamps(Path("results")) == before


def test_a_trial_that_fails_or_diverges_does_not_go_on(program: Program):
    Path("fragile.py").write_text(FRAGILE)
    words = ("--plugin", "fragile.py", "model=mlp", "model.width=16", "norm=fragile", "lr=0.1", "epochs=2")
    space = "norm.strength=choice(3,1,0.5,-1e9)"
    call = ("sweep", "--name", "f", "--search", "grid", "--trials", "4", "--halving", "2", *words, space)
    done = program(*call)
    assert done.code == 1, done.err
    statuses = {row["norm.strength"]: row["status"] for row in rows("f")}
    assert statuses == {"3.0": "failed", "-1000000000.0": "diverged", "1.0": "completed", "0.5": "completed"}
    again = program(*call)
    assert again.code == 1 and "nothing to train; 2 completed, 1 diverged, 1 failed" in again.out, again.out
    assert {row["norm.strength"]: row["status"] for row in rows("f")} == statuses


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--halving", "3", "lr=0.1"], "--halving: only beside --search random, tpe or grid"),
        ([*HALVING[:5], "1", LR], "--halving 1: must be at least 2"),
        ([*HALVING[:5], "10", LR], "--trials 9: must be at least 10, of which --halving lets one go on"),
        (["--search", "tpe", *HALVING[2:5], "9", LR], "--halving 9: must be at most 8, the trials that --search tpe"),
        ([*HALVING, LR, "epochs=2"], "epochs=2: must be at least 3 with --halving 3, for a first rung of one"),
        ([*HALVING, LR, "epochs=9", "devices=2"], "devices=2: runs on several devices have no checkpoints"),
        ([*HALVING, LR, "epochs=9,27"], "epochs=9,27: with --halving it must be one number for all runs"),
        ([*HALVING, LR, "epochs=interval(3,9)"], "epochs=3,9: with --halving it must be one number for all runs"),
        ([*HALVING, LR, "epochs=null", "steps=90"], "steps=90: --halving compares trials after epochs"),
        ([*HALVING, LR, "evaluate.unit=steps", "evaluate.every=20"], "evaluate.unit=steps: must be epochs with --halv"),
        (
            [*HALVING, LR, "epochs=18", "evaluate.every=4"],
            "evaluate.every=4: must divide the epochs at which a rung ends (2 and 6)",
        ),
        (
            ["--search", "grid", *HALVING[2:], "model.depth=choice(1,2)"],
            "--search grid: the grid has 2 points, and must have at least 3 with --halving",
        ),
    ],
)
def test_what_is_refused(reader: Program, words: list[str], said: str):
    result = reader("sweep", "--name", "bad", "model=mlp", *words)
    assert result.code == 2 and said in result.err and "Traceback" not in result.err, result.err
    assert not Path("results").exists()


def test_a_damaged_table_of_rungs_is_named(program: Program):
    call = ("sweep", "--name", "h", "--search", "random", "--trials", "2", "--halving", "2", *WORDS, "epochs=2")
    assert program(*call).code == 0
    table = Path("results/h", RUNGS_TABLE)
    table.write_text(table.read_text().replace("true", "maybe"))
    damaged = program(*call)
    assert damaged.code == 2 and f"{RUNGS_TABLE} is damaged" in damaged.err, damaged.err
