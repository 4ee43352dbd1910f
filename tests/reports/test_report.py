import io
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.analysis import read_trials
from bnbench.analysis.rows import sort_into_rows
from bnbench.errors import InvalidRequest
from bnbench.reports import VIEWS, render, report
from bnbench.reports.notes import runs_notes, uncounted_notes

from ..analysis.frames import runs_of
from .generator import make_sweep

FACTORS: dict[str, Sequence[Any]] = {
    "norm": ["none", "batch", "group"],
    "batch_size": [4, 64],
    "lr": [0.01, 0.1, 1.0],
    "seed": [0, 1],
}


@pytest.fixture(scope="module")
def sweep() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_sweep(FACTORS, np.random.default_rng(2))


def read_again(table: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def test_the_order_of_the_rows_does_not_matter(sweep: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    runs, metrics = sweep
    shuffled = report(runs.sample(frac=1, random_state=0), metrics.sample(frac=1, random_state=1))
    assert render(shuffled) == render(report(runs, metrics))


def test_what_was_read_from_csv_gives_the_same_report(sweep: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    runs, metrics = sweep
    again = report(read_again(runs), read_again(metrics), baseline="norm=none")
    assert render(again) == render(report(runs, metrics, baseline="norm=none"))
    text = read_again(runs).astype(str)
    assert render(report(text, metrics, baseline="norm=none")) == render(again)


def test_the_frames_are_left_alone(sweep: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    before = [table.copy(deep=True) for table in sweep]
    report(*sweep)
    for table, copy in zip(sweep, before, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_every_view_answers_to_nothing() -> None:
    views = report(pd.DataFrame(), pd.DataFrame(), baseline="norm=none")
    assert [view.notes for view in views] == [("There are no runs.",)] * len(VIEWS)


def test_reports_never_load_torch() -> None:
    code = "import sys, bnbench.analysis, bnbench.reports; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_wrong_requests_are_told_at_once(sweep: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.raises(InvalidRequest) as error:
        report(*sweep, views=["convergense"], baseline="norm", targets=["95"], lr="bset")
    assert len(error.value.problems) == 4


def test_runs_that_are_no_results_are_counted_out_loud() -> None:
    statuses = ["completed", "failed", "failed", "impossible", "out_of_memory"]
    runs = runs_of(*({"status": status, "seed": seed} for seed, status in enumerate(statuses)))
    trials = read_trials(runs)
    assert uncounted_notes(trials) == ("4 of 5 runs are not counted: 2 failed, 1 impossible, 1 out of memory.",)
    without = read_trials(runs_of({"val_accuracy": math.nan}, {"seed": 1}))
    assert uncounted_notes(without) == ("1 of 2 runs is not counted: 1 without validation accuracy.",)


def test_columns_that_follow_from_the_rows_are_told_below() -> None:
    rows = sort_into_rows(read_trials(runs_of({"batch_size": 16, "epochs": 5}, {"batch_size": 64, "epochs": 20})), ())
    assert runs_notes(rows) == ("Varies as well, but is fixed by what is shown: epochs.",)
