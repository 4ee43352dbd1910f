import io
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.reports import VIEWS, render, report

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
    code = "import sys, bnbench.reports; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
