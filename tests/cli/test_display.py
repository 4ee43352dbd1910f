"""What a user reads while runs train."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bnbench.cli.display import RunDisplay, SweepDisplay, _number
from bnbench.session import Progress, Summary
from bnbench.tasks import End
from bnbench.training import Evaluation
from tests.cli.test_sweep import SMALL
from tests.conftest import Program, make_spec


def test_impossible_cells_are_no_failures(program: Program) -> None:
    result = program("sweep", "--name", "s", *SMALL, "norm=batch,group", "norm.groups=7")
    assert "s: 2 runs, 1 impossible, 1 to train" in result.out
    assert "1 of 1 run, 0 running, 0 failed, 1 impossible, " in result.out
    assert "trained 1 in" in result.out


def test_one_run_is_not_runs(program: Program) -> None:
    result = program("sweep", "--name", "s", *SMALL, "norm=none")
    more = program("sweep", "--name", "s", "--extend", *SMALL, "norm=batch")
    assert "s: 1 run, 1 to train" in result.out and "1 of 1 run, " in result.out
    assert "s extends a sweep: 1 run there, 1 new" in more.out


def test_an_error_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with SweepDisplay() as shown:
        shown.update(Progress(2, 1, {"failed": 1}, 0, End(make_spec(), "failed", "shape [3, 4] is not [/3]")))
    assert "shape [3, 4] is not [/3]" in capsys.readouterr().out


def test_huge_losses_keep_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    shown = RunDisplay()
    for loss in (0.6931, 123456.789, 2.3e20, float("nan"), float("inf")):
        shown.record(Evaluation(10, 1.0, 640, 0.1, loss, 0.5, loss, 0.5))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "2.3e+20" in lines[2]
    assert max(len(_number(value)) for value in (999.99999, 1e308, 1234567.0)) <= 9


def test_all_times_of_a_sweep_are_since_enter(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with SweepDisplay(began=time.monotonic() - 80) as shown:
        shown.update(Progress(1, 0, {"completed": 1}, 0, End(make_spec(), "completed")))
    shown.end(Summary(tmp_path, {"r": "completed"}, 1))
    line, last = capsys.readouterr().out.splitlines()
    assert "elapsed 1:20" in line and "trained 1 in 1 min 20 s" in last
