"""The command compare to its last table, and a time that ends it before."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tests.budget import slowness
from tests.comparison.laid_down import lay_down
from tests.conftest import Program

WORDS = ("compare", "group groups=2", "--against", "batch", "--scale", "smoke", "--jobs", "1")
HEADS = "steps to 90%; accuracy"
"""Of the question whose runs are not laid down."""


def _results() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("results").glob("*/*.csv")}


def _rows() -> dict[str, pd.Series]:
    """The completed runs of the question that is trained."""
    file = Path("results/study-convergence-smoke/runs.csv")
    runs = pd.read_csv(file, dtype=str) if file.exists() else pd.DataFrame(columns=["run_id", "status"])
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
