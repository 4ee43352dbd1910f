"""The command compare to its last table, and a time that ends it before."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from bnbench import store
from tests.budget import slowness
from tests.comparison.laid_down import lay_down
from tests.conftest import Program
from tests.products import long

WORDS = ("compare", "group groups=2", "--against", "batch", "--scale", "smoke", "--jobs", "1")
HEADS = "steps to 90%; accuracy"
"""Of the question whose runs are not laid down."""


def _results() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("results").glob("*/*.csv")}


def _rows() -> dict[str, pd.Series]:
    """The completed runs of the question that is trained, wherever they are."""
    folder = Path("results/study-convergence-smoke")
    runs = store.load_runs(folder) if folder.exists() else pd.DataFrame(columns=["run_id", "status"])
    assert runs["run_id"].is_unique
    return {row["run_id"]: row for _, row in runs[runs["status"] == "completed"].iterrows()}


def _verdicts(out: str) -> list[str]:
    """The lines of the last table."""
    return re.findall(r"^.* [<>=?] .*$", out.partition("group groups=2 against batch: > better")[2], flags=re.M)[:17]


def _unasked(out: str) -> list[str]:
    """The questions that are named below the last table as not decided."""
    return re.findall(r"not asked: ([^:]*): the time was up; the same command goes on", " ".join(out.split()))


def test_a_comparison_ends_when_its_time_is_up_and_goes_on_with_more(program: Program):
    """All questions but one have their runs; that one is trained once there is time."""
    lay_down(["group groups=2"], ["batch"], but="convergence")
    before = _results()
    for seconds in (0.01, 2 * slowness()):
        early = program(*WORDS, "--budget", f"{seconds:.2f}s")
        decided = re.findall(r"^decided: (.*?): ", early.out, flags=re.M)
        assert early.code == 0 and early.out.count("Verdicts") == 1
        assert len(decided) + len(_unasked(early.out)) == 10 and not {*decided} & {*_unasked(early.out)}
        assert _results().items() >= before.items()
        if seconds == 0.01:
            assert not decided and HEADS in _unasked(early.out) and _results() == before
    kept = _rows()

    late = program(*WORDS, "--budget", "10m")
    assert late.code == 0 and not _unasked(late.out) and len(_rows()) == 4
    assert "group groups=2 against batch: inconclusive in 17 of 17 readings." in late.out
    assert len(_verdicts(late.out)) == 17
    assert _results().items() >= before.items() and all(_rows()[run].equals(row) for run, row in kept.items())

    after, again = _results(), program(*WORDS, "--budget", "10m")
    assert ": 0 runs to train, " in again.out and _verdicts(again.out) == _verdicts(late.out)
    assert _results() == after


WAITING = """
import time
from pathlib import Path
from torch import nn

calls = 0

class Waiting(nn.BatchNorm1d):
    "Batch normalization that waits for a file in the midst of the runs of a question."

    def _check_input_dim(self, x):
        "Images as well."

    def forward(self, x):
        global calls
        calls += self.training
        while calls > 60 and Path(FOLDER, "study-convergence-smoke").exists() and not Path(FILE).exists():
            time.sleep(0.05)
        return super().forward(x)

NORMS = {"waiting": Waiting}
"""
"""A run of 48 steps of three layers has 144 calls; whoever only looks at the norm has fewer than 60."""


@long
def test_a_time_that_is_up_within_a_question_leaves_what_it_has_trained(program: Program) -> None:
    """One arm of it is trained and the other cannot be before the time is up; the other questions have their runs, and
    steps are timed once nothing else trains.
    """
    go, results = Path("go").absolute(), Path("results").absolute()
    Path("mine.py").write_text(WAITING.replace("FILE", repr(str(go))).replace("FOLDER", repr(str(results))))
    lay_down(["waiting"], ["batch"], but="convergence", plugin=Path("mine.py"))
    before = _results()
    words = ("compare", "waiting", "--plugin", "mine.py", "--against", "batch", "--scale", "smoke", "--jobs", "4")
    early = program(*words, "--budget", f"{20 * slowness():.2f}s")
    decided, kept = re.findall(r"^decided: (.*?): ", early.out, flags=re.M), _rows()
    assert early.code == 0 and _unasked(early.out) == [HEADS, "step time"] and "Traceback" not in early.err, early
    assert len(decided) == 8 and HEADS not in decided, early.out
    assert {row["norm"] for row in kept.values()} == {"batch"} and len(kept) == 2
    assert _results().items() >= before.items()

    go.touch()
    late = program(*words, "--budget", "10m")
    assert late.code == 0 and not _unasked(late.out), late.out + late.err
    assert ": 2 runs to train, " in late.out and len(_rows()) == 4
    assert all(_rows()[run].equals(row) for run, row in kept.items())
    assert _results().items() >= before.items()
    assert "waiting against batch: inconclusive in 17 of 17 readings." in late.out
