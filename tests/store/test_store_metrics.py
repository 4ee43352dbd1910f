"""The order of metrics.csv follows from the sweep alone, and no row stands in it twice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, join, load_metrics
from bnbench.store.columns import METRICS
from tests.store.sweeps import evaluations, final, make_spec

SPECS = [make_spec(seed) for seed in range(3)]


def test_metrics_stand_in_the_order_of_the_runs_whoever_wrote_them_when(tmp_path: Path) -> None:
    tables = []
    for name, order in (("one", SPECS), ("two", SPECS[::-1])):
        enter_runs(tmp_path / name, SPECS, {}, {})
        for spec in order:
            with Segment(tmp_path / name, f"worker{spec.seed % 2 if name == 'one' else 0}") as segment:
                segment.evaluation(evaluations(spec)[:: 1 if name == "one" else -1])
                segment.finish([final(spec)])
        loaded = load_metrics(tmp_path / name)
        join(tmp_path / name)
        pd.testing.assert_frame_equal(load_metrics(tmp_path / name), loaded)
        tables.append((tmp_path / name / "metrics.csv").read_bytes())
    assert tables[0] == tables[1]
    assert load_metrics(tmp_path / "one")["run_id"].drop_duplicates().tolist() == [run_id(spec) for spec in SPECS]
    assert load_metrics(tmp_path / "one")["step"].tolist() == [1, 2, 3] * 3


def test_an_evaluation_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    with Segment(tmp_path, "one") as segment:
        segment.evaluation([row for row in evaluations(SPECS[0]) for _ in range(2)])
        segment.finish([final(SPECS[0])])
    for _ in range(2):
        assert load_metrics(tmp_path)["step"].tolist() == [1, 2, 3]
        join(tmp_path)
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == ",".join(METRICS)
