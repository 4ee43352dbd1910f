from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import InvalidRequest
from bnbench.spec import LATER, flatten, run_id
from bnbench.store import OUTCOME, Segment, enter_runs, join, load_metrics, load_runs, load_sweeps, statuses
from bnbench.store.columns import METRICS, RUN_TYPES, SPEC_TEXTS
from bnbench.store.files import line
from tests.budget import slowness
from tests.store.sweeps import FACTS, evaluations, expected_metrics, final, make_spec, train


def test_columns_and_values_come_back_as_they_were(tmp_path: Path) -> None:
    specs = [make_spec(0), make_spec(1, "group", groups=8, affine=True, mode="none"), make_spec(2, "mine", mode="4")]
    enter_runs(tmp_path, specs, {}, {})
    for index, spec in enumerate(specs[:2]):
        train(tmp_path, spec, f"segment{index}")
    for _ in range(2):
        runs = load_runs(tmp_path)
        for spec, (_, row) in zip(specs, runs.iterrows(), strict=True):
            for column, value in flatten(spec).items():
                assert pd.isna(row[column]) if value is None or value == () else row[column] == value, column
        assert runs["norm"].tolist() == ["none", "group", "mine"]
        assert runs["norm.mode"].fillna("").tolist() == ["", "none", "4"]
        assert runs["norm.affine"].tolist()[1] is True
        assert runs["optim.nesterov"].tolist()[1] is False
        assert runs["drop_last"].dtype == bool
        assert runs["host"].dropna().unique().tolist() == ["10"]
        assert runs["git_commit"].dropna().unique().tolist() == ["012345678901"]
        assert runs["test_accuracy"].tolist()[:2] == [1 / 3, 1 / 4]
        assert runs["error"].isna().all()
        join(tmp_path)
    columns = list(runs.columns)
    assert columns[:3] == ["run_id", "status", "error"]
    assert tuple(columns[-len(OUTCOME) :]) == OUTCOME
    assert columns[3:7] == ["norm", "norm.affine", "norm.groups", "norm.mode"]


def test_types_do_not_depend_on_what_happens_to_be_there(tmp_path: Path) -> None:
    enter_runs(tmp_path, [], {}, {})
    assert load_runs(tmp_path).empty
    nothing, no_metrics = load_runs(tmp_path), load_metrics(tmp_path)
    enter_runs(tmp_path, [make_spec(0)], {}, {}, {run_id(make_spec(0)): 0})
    planned = load_runs(tmp_path)
    train(tmp_path, make_spec(0), "one")
    finished, metrics = load_runs(tmp_path), load_metrics(tmp_path)
    assert dict(no_metrics.dtypes) == dict(metrics.dtypes)
    for column, kind in RUN_TYPES.items():
        assert planned[column].dtype == finished[column].dtype, column
        assert kind == "str" or finished[column].dtype == kind, column
        assert column not in nothing or kind == "str" or nothing[column].dtype == kind, column


def test_the_spec_columns_that_hold_text_are_known() -> None:
    flat = flatten(make_spec(0))
    texts = {column for column, value in flat.items() if isinstance(value, str)}
    assert texts == {*SPEC_TEXTS} - {"plugin", "data", "probes", "domains"}


def test_a_run_id_that_looks_like_a_number_stays_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = ["123456789012", "000000000012", "1234567e1234", "000000000000", "1e5000000000"]
    specs = [make_spec(seed) for seed in range(len(identities))]
    for module in ("folder", "segment"):
        monkeypatch.setattr(f"bnbench.store.{module}.run_id", lambda spec: identities[spec.seed])
    enter_runs(tmp_path, specs, {}, {})
    for identity, spec in zip(identities, specs, strict=True):
        with Segment(tmp_path, "one") as segment:
            segment.start([spec], FACTS)
            segment.evaluation([{**row, "run_id": identity} for row in evaluations(spec)])
            segment.finish([final(spec, run_id=identity)])
    for _ in range(2):
        assert load_runs(tmp_path)["run_id"].tolist() == identities
        assert load_metrics(tmp_path)["run_id"].drop_duplicates().tolist() == identities
        join(tmp_path)


def test_a_loss_that_is_not_finite_leaves_its_column_numeric(tmp_path: Path) -> None:
    spec = make_spec(0)
    enter_runs(tmp_path, [spec], {}, {})
    losses = [float("nan"), float("inf"), 0.1 + 0.2]
    with Segment(tmp_path, "one") as segment:
        segment.evaluation([{**row, "val_loss": loss} for row, loss in zip(evaluations(spec), losses, strict=True)])
        segment.finish([final(spec, "diverged", train_loss=float("nan"), val_loss=float("inf"))])
    metrics, runs = load_metrics(tmp_path), load_runs(tmp_path)
    assert metrics["val_loss"].dtype == "float64"
    assert metrics["val_loss"].isna().tolist() == [True, False, False]
    assert metrics["val_loss"].tolist()[1:] == [math.inf, 0.30000000000000004]
    assert runs["train_loss"].isna().all()
    assert runs["val_loss"].tolist() == [math.inf]


def test_tables_that_another_program_saved(tmp_path: Path) -> None:
    specs = [make_spec(0), make_spec(1)]
    enter_runs(tmp_path, specs, {}, {})
    for spec in specs:
        train(tmp_path, spec, "one")
    join(tmp_path)
    runs, metrics = load_runs(tmp_path), load_metrics(tmp_path)
    columns = [*reversed(METRICS), "note"]
    rows = [line([*(str(row[column]) for column in columns[:-1]), "x"]) for spec in specs for row in evaluations(spec)]
    (tmp_path / "metrics.csv").write_text("".join([line(columns), *rows]).replace("\n", "\r\n"), newline="")
    (tmp_path / "runs.csv").write_text((tmp_path / "runs.csv").read_text().replace("\n", "\r\n"), newline="")
    pd.testing.assert_frame_equal(load_runs(tmp_path), runs)
    pd.testing.assert_frame_equal(load_metrics(tmp_path), metrics)


def test_a_table_from_before_a_setting_was_there_has_its_runs_as_they_were(tmp_path: Path) -> None:
    enter_runs(tmp_path, [make_spec(0)], {}, {})
    train(tmp_path, make_spec(0), "segment")
    join(tmp_path)
    table = pd.read_csv(tmp_path / "runs.csv", dtype=str, keep_default_na=False)
    table.drop(columns=[*LATER]).to_csv(tmp_path / "runs.csv", index=False)
    assert load_runs(tmp_path)[[*LATER]].to_dict("records") == [dict(LATER)]
    enter_runs(tmp_path, [make_spec(0), replace(make_spec(1), devices=2)], {}, {})
    assert load_runs(tmp_path)["devices"].tolist() == [1, 2]


def test_an_unknown_sweep_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there are no sweeps"):
        load_runs(tmp_path / "mine")
    enter_runs(tmp_path / "yours", [], {}, {})
    with pytest.raises(InvalidRequest, match=r"no sweep 'mine' in .*; there are: yours"):
        load_metrics(tmp_path / "mine")


def test_a_run_in_two_sweeps_counts_once_and_where_it_has_a_result(tmp_path: Path) -> None:
    specs = [make_spec(0), make_spec(1, "group", groups=2), make_spec(2)]
    first, second = tmp_path / "first", tmp_path / "second"
    enter_runs(first, specs[:2], {}, {})
    enter_runs(second, specs[1:], {}, {})
    train(first, specs[0], "one")
    train(first, specs[1], "one", "failed")
    train(second, specs[1], "one")
    runs, metrics = load_sweeps([first, second])
    assert runs["run_id"].tolist() == [run_id(spec) for spec in specs]
    assert runs["status"].tolist() == ["completed", "completed", "planned"]
    assert runs["sweep"].tolist() == ["first", "second", "second"]
    assert runs["lr"].dtype == runs["test_accuracy"].dtype == "float64"
    ordered = metrics.sort_values(["run_id", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(ordered, expected_metrics(specs[:2]))
    again, _ = load_sweeps([second, second, first])
    assert again["sweep"].tolist() == ["second", "second", "first"]


def test_sweeps_of_which_one_is_empty(tmp_path: Path) -> None:
    enter_runs(tmp_path / "empty", [], {}, {})
    enter_runs(tmp_path / "full", [make_spec(0)], {}, {})
    train(tmp_path / "full", make_spec(0), "one")
    runs, metrics = load_sweeps([tmp_path / "empty", tmp_path / "full"])
    assert len(runs) == 1
    assert dict(metrics.dtypes) == dict(load_metrics(tmp_path / "full").dtypes)
    runs, metrics = load_sweeps([tmp_path / "empty", tmp_path / "empty"])
    assert runs.empty
    assert metrics.empty


def test_two_thousand_runs_load_and_join_in_seconds(tmp_path: Path) -> None:
    specs = [make_spec(seed) for seed in range(2000)]
    start = time.process_time()
    enter_runs(tmp_path, specs, {}, {})
    planned = time.process_time()
    with Segment(tmp_path, "one") as segment:
        for spec in specs:
            segment.evaluation([{**row, "step": step} for step, row in enumerate(evaluations(spec)[:1] * 50)])
        segment._runs.append(final(spec) for spec in specs)
    written = time.process_time()
    for _ in range(2):
        assert len(load_runs(tmp_path)) == 2000
        assert len(load_metrics(tmp_path)) == 100_000
        join(tmp_path)
    assert set(statuses(tmp_path).values()) == {"completed"}
    assert (time.process_time() - written) + (planned - start) < 4 * slowness()
