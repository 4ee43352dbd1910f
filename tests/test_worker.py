"""What a worker does with what an engine tells."""

from pathlib import Path

import pytest

from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.spec import run_id
from bnbench.worker import Task, work
from tests.engine.tape import Tape

PLUGIN = """
import torch
from torch import Tensor, nn

class Reading(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum().item() > 0 else -x

NORMS = {"reading": Reading}
"""

BROKEN = """
from torch import Tensor, nn

class Broken(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 3:
            raise ValueError("no more")
        return x

NORMS = {"broken": Broken}
"""


def test_why_a_stack_is_not_recorded_is_in_the_log_of_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    words = ["norm=reading", "model=mlp", "model.width=8", "epochs=1", "batch_size=128", "seed=0,1"]
    specs = compose_request(words, components(plugin)).specs
    folder = tmp_path / "results"
    store.plan(folder, specs, {}, {})
    monkeypatch.setattr("bnbench.engine.stacked.recorder_for", lambda device: Tape())
    ends = work(Task(specs, folder, "session", tmp_path, plugin, "cpu", ""))
    assert [end.status for end in ends] == ["completed", "completed"]
    for spec in specs:
        text = (folder / "logs" / f"{run_id(spec)}.log").read_text()
        assert text.startswith("steps are not recorded, which is slower: RuntimeError: operation not permitted")


def test_runs_abreast_are_single_runs_that_end_together(tmp_path: Path):
    words = ["norm=batch,none", "model=mlp", "model.width=8", "epochs=1", "probes=[step_time]"]
    specs = compose_request(words, components()).specs
    store.plan(tmp_path / "results", specs, {}, {})
    ends = work(Task(specs, tmp_path / "results", "session", tmp_path, None, "cpu", "", abreast=True))
    assert [end.status for end in ends] == ["completed", "completed"]
    runs = store.load_runs(tmp_path / "results")
    assert set(runs["engine"]) == {"reference"} and set(runs["lanes"]) == {1} and runs["test_accuracy"].notna().all()
    probes = store.load_probes(tmp_path / "results")
    assert probes[probes["name"] == "step_in_turns"].groupby("run_id").size().tolist() == [2, 2]


def test_of_runs_abreast_one_that_fails_fails_alone(tmp_path: Path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(BROKEN)
    words = ["norm=batch,broken,none", "model=mlp", "model.depth=1", "model.width=8", "epochs=1", "probes=[memory]"]
    specs = compose_request(words, components(plugin)).specs
    store.plan(tmp_path / "results", specs, {}, {})
    ends = work(Task(specs, tmp_path / "results", "session", tmp_path, plugin, "cpu", "", abreast=True))
    assert {end.spec.norm.name: end.status for end in ends} == {
        "batch": "completed", "broken": "failed", "none": "completed",
    }  # fmt: skip
    runs = store.load_runs(tmp_path / "results").set_index("norm")
    assert runs.loc["broken", "error"] == "ValueError: no more" and set(runs["engine"]) == {"reference"}
    measured = store.load_probes(tmp_path / "results").groupby("run_id")["step"].nunique()
    assert measured[runs.loc[["batch", "none"], "run_id"]].tolist() == [2, 2]
