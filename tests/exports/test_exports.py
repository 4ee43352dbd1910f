"""Runs for other programs: what these read back is what the sweep holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from bnbench.cli.options import EXPORT_NAMES
from bnbench.exports import FORMS
from bnbench.store import change_tag, enter_runs, load_metrics, load_probes, load_runs
from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program
from tests.store.sweeps import evaluations, readings

SPECS = [make_spec(seed) for seed in range(4)]
IDS = [run_id(spec) for spec in SPECS]
TRACKERS = ("tensorboard", "mlflow", "wandb")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SPECS)
    change_tag(Path("results/small"), IDS[:1], "best")


def installed(name: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'bnbench[{name}]'")


def test_the_command_offers_all_forms():
    assert tuple(FORMS) == EXPORT_NAMES


def test_specs(reader: Program):
    written = reader("export", "small", "--to", "spec", "--out", "out/specs")
    assert written.code == 0 and written.err == "wrote 4 runs to out/specs\n"
    for identity in IDS:
        assert (
            Path(f"out/specs/{identity}.yaml").read_bytes() == Path(f"results/small/specs/{identity}.yaml").read_bytes()
        )
    assert reader("export", IDS[1][:7], "--to", "spec", "--out", "one").code == 0
    assert [path.stem for path in Path("one").iterdir()] == [IDS[1]]
    enter_runs(Path("results/planned"), SPECS, {}, {"runs": 4})
    planned = reader("export", "planned", "--to", "spec", "--out", "none")
    assert planned.code == 0 and "4 runs have no spec yet" in planned.err


def test_tables(reader: Program):
    assert reader("export", "small", "--to", "csv", "--out", "out").code == 0
    for name, load in (("runs", load_runs), ("metrics", load_metrics), ("probes", load_probes)):
        table = pd.read_csv(f"out/{name}.csv", dtype=str, keep_default_na=False)
        stored = pd.read_csv(f"results/small/{name}.csv", dtype=str, keep_default_na=False)
        pd.testing.assert_frame_equal(table, stored)
        assert len(load(Path("results/small"))) == len(table)
    assert reader("export", f"small/{IDS[2]}", "--to", "csv", "--out", "one").code == 0
    assert pd.read_csv("one/metrics.csv")["run_id"].unique().tolist() == [IDS[2]]


def numbers(spec_index: int) -> dict[tuple[str, int], float]:
    """What a tracker must have of a run, by name and step."""
    spec = SPECS[spec_index]
    expected = {
        (name, row["step"]): float(value)
        for row in evaluations(spec)
        for name, value in row.items()
        if name not in ("run_id", "step")
    }
    expected |= {(f"{row['probe']}/{row['layer']}/{row['name']}", row["step"]): row["value"] for row in readings(spec)}
    return expected


def test_tensorboard(reader: Program):
    installed("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    written = reader("export", "small", "--to", "tensorboard", "--out", "out")
    assert written.code == 0 and "tensorboard --logdir out" in written.err, written.err
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(IDS)
    (path,) = Path("out", IDS[0]).iterdir()
    found, texts = {}, {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "text":
                texts[value.tag] = value.tensor.string_val[0].decode()
            else:
                found[value.tag, event.step] = value.tensor.float_val[0]
    assert "    batch_size=64" in texts["settings"] and "    norm=none" in texts["settings"]
    expected = numbers(0) | {("result/test_accuracy", 3): 1 / 3, ("result/val_loss", 3): 0.04}
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("set_before", [None, "false"])
def test_mlflow(reader: Program, monkeypatch: pytest.MonkeyPatch, set_before: str | None):
    """MLflow refuses stores of files unless a variable allows them, which is set while it writes and no longer."""
    monkeypatch.delenv(variable := "MLFLOW_ALLOW_FILE_STORE", raising=False)
    if set_before:
        monkeypatch.setenv(variable, set_before)
    installed("mlflow")
    from mlflow.tracking import MlflowClient

    written = reader("export", "small", "--to", "mlflow", "--out", "out")
    assert written.code == 0 and f"{variable}=true mlflow ui --backend-store-uri file:" in written.err, written.err
    assert os.environ.get(variable) == set_before
    monkeypatch.setenv(variable, "true")
    client = MlflowClient(tracking_uri=Path("out").absolute().as_uri())
    experiment = client.get_experiment_by_name("small")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == set(IDS)
    run = runs[IDS[0]]
    assert run.data.params["norm"] == "none" and float(run.data.params["lr"]) == 0.003
    assert run.data.tags["status"] == "completed" and run.data.tags["tags"] == "best"
    assert run.data.metrics["result/test_accuracy"] == 1 / 3
    assert [run.info.status for run in (runs[IDS[0]], runs[IDS[2]])] == ["FINISHED", "FAILED"]
    history = {(point.key, point.step): point.value for point in client.get_metric_history(run.info.run_id, "val_loss")}
    assert history == {key: value for key, value in numbers(0).items() if key[0] == "val_loss"}


def test_wandb(reader: Program):
    installed("wandb")
    written = reader("export", f"small/{IDS[0]}", "--to", "wandb", "--out", "out")
    assert written.code == 0 and "wandb sync out/wandb/offline-run-*" in written.err, written.err
    (run,) = Path("out/wandb").glob(f"offline-run-*-{IDS[0]}")
    content = (run / f"run-{IDS[0]}.wandb").read_bytes()
    assert b"val_loss" in content and b"batch_size" in content and b"landscape/network/loss" in content


@pytest.mark.parametrize("name", TRACKERS)
def test_a_library_that_is_not_there_is_named(reader: Program, monkeypatch: pytest.MonkeyPatch, name: str):
    for module in [known for known in sys.modules if known.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    refused = reader("export", "small", "--to", name, "--out", "out")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"--to {name}: needs {name}, which is not installed" in refused.err.replace(
        "tensorboard.compat", "tensorboard"
    )
    assert f"pip install 'bnbench[{name}]'" in refused.err and not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small", "--to", "tables", "--out", "out"), "--to tables: Allowed: spec, csv"),
        (("small", "--to", "cvs", "--out", "out"), "did you mean 'csv'?"),
        (("absent", "--to", "csv", "--out", "out"), "'absent' is neither a sweep nor the beginning of a run"),
        (("small", "--to", "csv", "--out", "results/small"), "--out results/small: must be a new or empty folder"),
        (("small", "--to", "csv", "--out", "file"), "--out file: must be a new or empty folder"),
        (("small", "--to", "csv", "--out", ""), "--out must name a folder or file"),
    ],
)
def test_refusals_write_nothing(reader: Program, words: tuple[str, ...], says: str):
    Path("file").touch()
    before = {str(path) for path in Path().rglob("*")}
    refused = reader("export", *words)
    assert refused.code == 2 and says in refused.err
    assert {str(path) for path in Path().rglob("*")} == before
