"""No factor that varies is ever averaged over, but the seed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnbench.analysis.rows import labels, sort_into_rows
from bnbench.analysis.trials import read_trials
from bnbench.reports import VIEWS, Options

from ..analysis.frames import metrics_of, runs_of

SPECS = st.fixed_dictionaries(
    {
        "norm": st.sampled_from(["none", "batch", "group"]),
        "norm.groups": st.sampled_from([None, 4, 8]),
        "norm.affine": st.sampled_from(["both", "none", True]),
        "model": st.sampled_from(["cnn", "mlp"]),
        "batch_size": st.sampled_from([4, 64]),
        "lr": st.sampled_from([0.01, 0.1]),
        "optim.momentum": st.sampled_from([None, 0.9, "0.9", 0]),
        "split.seed": st.sampled_from([0, 1]),
        "sweep": st.sampled_from(["a", "b"]),
    }
)
SWEEPS = st.lists(SPECS, min_size=1, max_size=8)
FACTORS = ["norm", "norm.groups", "norm.affine", "model", "batch_size", "lr", "optim.momentum", "split.seed", "sweep"]


def sweep_of(specs: list[dict[str, Any]], seeds: int) -> pd.DataFrame:
    distinct = {tuple(str(spec[name]) for name in FACTORS): spec for spec in specs}.values()
    return runs_of(*({**spec, "seed": seed} for spec in distinct for seed in range(seeds)))


@settings(max_examples=40, deadline=None)
@given(SWEEPS, st.sampled_from([(), ("lr",), ("batch_size",), ("batch_size", "lr")]))
def test_only_the_seed_varies_inside_a_cell(specs: list[dict[str, Any]], aside: tuple[str, ...]) -> None:
    rows = sort_into_rows(read_trials(sweep_of(specs, seeds=2)), aside)
    inside = rows.trials.frame.groupby(["row", *aside])[FACTORS].nunique()
    assert inside.to_numpy().max() == 1
    names = list(labels(rows).values())
    assert len(set(names)) == len(names) == len(rows.keys)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("lr", ["best", "all"])
@settings(max_examples=15, deadline=None)
@given(SWEEPS)
def test_no_entry_stands_for_more_runs_than_seeds(view: str, lr: Any, specs: list[dict[str, Any]]) -> None:
    runs = sweep_of(specs, seeds=2)
    metrics = metrics_of({run: [0.5, 0.9] for run in runs["run_id"]})
    for table in VIEWS[view](runs, metrics, Options(lr=lr)).tables:
        shares = [column.title == "diverged" for column in table.columns]
        counts = [cell.n for row in table.rows for cell, share in zip(row, shares, strict=True) if cell.n and not share]
        assert max(counts, default=0) <= 2
