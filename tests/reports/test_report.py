import io
import itertools
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
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
    views = report(pd.DataFrame(), pd.DataFrame(), baseline="norm=none").views
    assert [view.notes for view in views] == [("There are no runs.",)] * len(VIEWS)


SPEC = ["norm", "norm.eps", "model", "dataset", "optim", "schedule", "batch_size", "lr", "epochs", "seed", "classes"]


@pytest.mark.parametrize("emptied", ["first", "all"])
@pytest.mark.parametrize("name", SPEC)
def test_a_report_is_told_though_cells_were_emptied(
    sweep: tuple[pd.DataFrame, pd.DataFrame], name: str, emptied: str
) -> None:
    runs, metrics = sweep
    cells = runs[name].astype(object)
    cells.iloc[: 1 if emptied == "first" else len(cells)] = None
    told = report(runs.assign(**{name: cells}), metrics)
    assert len(told.views) == len(VIEWS) and "runs" in render(told)
    assert all(figure.panels for view in told.views for figure in view.figures)


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


def epochs_of(*settings: str, few: Mapping[str, int]) -> list[dict[str, Any]]:
    """Runs with one setting of each word, such as ``norm=a,b``, in all combinations: 5 epochs, or as ``few`` says."""
    pairs = [
        [(key, value) for value in values.split(",")] for key, _, values in (one.partition("=") for one in settings)
    ]
    names = (dict(place) for place in itertools.product(*pairs))
    return [{**place, "epochs": few.get(" ".join(place.values()), 5)} for place in names]


FOLLOWING = [
    (epochs_of("batch_size=16,64", few={"16": 2}), "2 with batch_size=16, 5 elsewhere"),
    (epochs_of("norm=batch,rms,none", few={"rms": 1}), "1 with norm=rms, 5 elsewhere"),
    (epochs_of("norm=a,b,c,d,e", few={"a": 1, "b": 1}), "1 with norm=a,b, 5 elsewhere"),
    (
        epochs_of("norm=a,b,c,d,e,f,g,h,i,j,k", few=dict.fromkeys("abcde", 1)),
        "1 with norm=a,b,c and 2 more, 5 elsewhere",
    ),
    (
        epochs_of("norm=a,b,c,d,e", few={"a": 1, "b": 2, "c": 3, "d": 4}),
        "1 with norm=a, 2 with norm=b, 3 with norm=c, ...; 5 values",
    ),
    (epochs_of("norm=a,b", "batch_size=2,4", few={"a 2": 1}), "1 with batch_size=2 norm=a, 5 elsewhere"),
    (
        epochs_of("norm=a,b", "batch_size=2,4", "model=y,z", few={"a 2 y": 1}),
        "1 with model=y batch_size=2 norm=a, 5 elsewhere",
    ),
]


@pytest.mark.parametrize(("runs", "says"), FOLLOWING, ids=[says for _, says in FOLLOWING])
def test_columns_that_follow_from_the_rows_are_told_below(runs: list[dict[str, Any]], says: str) -> None:
    rows = sort_into_rows(read_trials(runs_of(*runs)), ())
    assert runs_notes(rows) == (f"Varies as well, but is fixed by what is shown: epochs ({says}).",)
