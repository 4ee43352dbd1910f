"""What a worker does with what an engine tells."""

import itertools
from pathlib import Path

import pytest
import torch

from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.launch import local
from bnbench.native import c_compiler, library
from bnbench.plan import ALONE, Execution
from bnbench.session.dispatch import Means, dispatch
from bnbench.spec import run_id
from bnbench.tasks import Task
from bnbench.training import Evaluation, Outcome, Reading
from bnbench.worker import work
from tests.engines.tape import Tape
from tests.native.test_compilation import forget

STACKED, INTERLEAVED = Execution("stacked", 8), Execution("interleaved")

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
    store.enter_runs(folder, specs, {}, {})
    monkeypatch.setattr("bnbench.engines.stacked.recorder_for", lambda device: Tape())
    ends = work(Task(specs, STACKED, folder, "session", tmp_path, components(plugin).plugin, "cpu", ""))
    assert [end.status for end in ends] == ["completed", "completed"]
    for spec in specs:
        text = (folder / "logs" / f"{run_id(spec)}.log").read_text()
        assert text.startswith("steps are not recorded, which is slower: RuntimeError: operation not permitted")


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.usefixtures("compiled")
def test_a_run_that_is_left_of_a_stack_is_trained_by_its_engine(tmp_path: Path, native: bool):
    words = ["norm=batch", "model=mlp", "model.width=8", "epochs=2", "probes=[gradient_flow]"]
    ((spec,), seen) = compose_request(words, components()).specs, []
    store.enter_runs(tmp_path / "results", (spec,), {}, {})
    native = native and c_compiler() is not None
    execution = Execution("native" if native else "stacked", 2)
    (end,) = work(Task((spec,), execution, tmp_path / "results", "session", tmp_path, None, "cpu", ""), seen.append)
    assert end.status == "completed"
    (run,) = store.load_runs(tmp_path / "results").to_dict("records")
    assert (run["engine"], run["lanes"]) == ("native" if native else "stacked", 1)
    assert run["seconds"] > 0
    assert [type(record) for record in seen if not isinstance(record, Reading)] == [
        Evaluation,
        Evaluation,
        Outcome,
    ]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("engine", ["reference", "stacked", "native"])
def test_the_seconds_of_a_stack_are_shared_by_the_runs_that_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
):
    """The clock is one of pauses: an hour passes with each; probes and what is written cost hours of nobody's."""
    if engine == "native" and c_compiler() is None:
        pytest.skip("no C compiler")
    hours = itertools.count(step=3600)
    monkeypatch.setattr("bnbench.worker.now", lambda device: float(next(hours)))
    words = ["norm=none", "model=mlp", "model.width=8", "epochs=3", "lr=0.01,0.02,1e9", "probes=[gradient_flow]"]
    specs = compose_request(words, components()).specs
    specs = specs[:1] if engine == "reference" else specs
    store.enter_runs(tmp_path / "results", specs, {}, {})
    work(Task(specs, Execution(engine, 3), tmp_path / "results", "session", tmp_path, None, "cpu", ""))
    runs = store.load_runs(tmp_path / "results").set_index("lr")
    assert set(runs["engine"]) == {engine}
    # three epochs and the test; of three runs one ends with the first
    expected = (
        {0.01: 4 * 3600.0} if engine == "reference" else {0.01: 1200 + 3 * 1800, 0.02: 1200 + 3 * 1800, 1e9: 1200}
    )
    assert runs["seconds"].to_dict() == expected


def test_a_run_that_compiled_code_fails_is_trained_by_the_reference_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*asked, **named):
        raise MemoryError

    (spec,) = compose_request(["model=mlp", "model.width=8", "epochs=1"], components()).specs
    store.enter_runs(tmp_path / "results", (spec,), {}, {})
    monkeypatch.setattr("bnbench.worker.train_stack", fail)
    (end,) = work(Task((spec,), STACKED, tmp_path / "results", "session", tmp_path, None, "cpu", ""))
    assert end.status == "completed"
    assert store.load_runs(tmp_path / "results")["engine"].tolist() == ["reference"]


@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("norm", ["batch", "frn"])
def test_a_worker_starts_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, norm: str):
    """Without code for a stack, of its layers or of one that is translated, torch trains it."""
    if norm == "frn":
        library(torch.float32)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    forget()
    calls: list[object] = []
    monkeypatch.setattr("bnbench.native.compilation._started", lambda *asked: calls.append(asked))
    specs = compose_request(["model=cnn", "model.width=3", "steps=5", f"norm={norm}", "seed=0,1"], components()).specs
    store.enter_runs(tmp_path / "results", specs, {}, {})
    ends = work(Task(specs, Execution("native", 2), tmp_path / "results", "session", tmp_path, None, "cpu", ""))
    assert [end.status for end in ends] == ["completed"] * 2 and calls == []
    assert store.load_runs(tmp_path / "results")["engine"].tolist() == ["stacked"] * 2
    reasons = {(tmp_path / "results/logs" / f"{run_id(spec)}.log").read_text() for spec in specs}
    reason = "FilterResponseNorm, which is not compiled yet" if norm == "frn" else "a machine without compiled code"
    assert reasons == {f"trained again by torch: {reason}\n"}
    monkeypatch.undo()
    forget()


def test_interleaved_runs_are_single_runs_that_end_together(tmp_path: Path):
    words = ["norm=batch,none", "model=mlp", "model.width=8", "epochs=1", "probes=[step_time]"]
    specs = compose_request(words, components()).specs
    store.enter_runs(tmp_path / "results", specs, {}, {})
    ends = work(Task(specs, INTERLEAVED, tmp_path / "results", "session", tmp_path, None, "cpu", ""))
    assert [end.status for end in ends] == ["completed", "completed"]
    runs = store.load_runs(tmp_path / "results")
    assert set(runs["engine"]) == {"reference"} and set(runs["lanes"]) == {1} and runs["test_accuracy"].notna().all()
    probes = store.load_probes(tmp_path / "results")
    for name in ("step_in_turns", "work_in_turns", "load"):
        assert probes[probes["name"] == name].groupby("run_id").size().tolist() == [2, 2]


def test_of_interleaved_runs_one_that_fails_fails_alone(tmp_path: Path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(BROKEN)
    words = ["norm=batch,broken,none", "model=mlp", "model.depth=1", "model.width=8", "epochs=1", "probes=[memory]"]
    specs = compose_request(words, components(plugin)).specs
    store.enter_runs(tmp_path / "results", specs, {}, {})
    ends = work(
        Task(specs, INTERLEAVED, tmp_path / "results", "session", tmp_path, components(plugin).plugin, "cpu", "")
    )
    assert {end.spec.norm.name: end.status for end in ends} == {
        "batch": "completed", "broken": "failed", "none": "completed",
    }  # fmt: skip
    runs = store.load_runs(tmp_path / "results").set_index("norm")
    line = f'{plugin}:12: raise ValueError("no more")'
    assert runs.loc["broken", "error"] == f"ValueError: no more ({line})" and set(runs["engine"]) == {"reference"}
    measured = store.load_probes(tmp_path / "results").groupby("run_id")["step"].nunique()
    assert measured[runs.loc[["batch", "none"], "run_id"]].tolist() == [2, 2]


GLOBAL_COUNTS = """
import torch
from torch import Tensor, nn

CALLS = 0


class Warm(nn.Module):
    \"\"\"Doubles what it gets from call 30 on, counted for all layers together.\"\"\"

    calls = 0

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        global CALLS
        if self.training:
            CALLS += 1
            Warm.calls += 1
        return x * (1.0 if CALLS + Warm.calls < 60 else 2.0)


NORMS = {"warm": Warm}
"""


def test_no_run_begins_with_what_another_left_in_globals(tmp_path: Path):
    """Two runs one after the other in a process give what each gives in a process of its own."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(GLOBAL_COUNTS)
    words = ["norm=warm", "model=mlp", "model.width=8", "steps=30", "epochs=null", "batch_size=32", "seed=0,1"]
    specs = compose_request(words, components(plugin)).specs
    tables = []
    for name in ("together", "apart"):
        folder = tmp_path / name
        store.enter_runs(folder, specs, {}, {})
        tasks = [
            Task((spec,), ALONE, folder, f"session{seed}", tmp_path, components(plugin).plugin, "cpu", "")
            for seed, spec in enumerate(specs)
        ]
        if name == "together":
            ends = [end for task in tasks for end in work(task)]
        else:
            ends = [done.value[0] for task in tasks for done in local(work, [task], 1)]
        assert [end.status for end in ends] == ["completed", "completed"]
        with store.locked(folder):
            store.join(folder)
        tables.append(store.load_metrics(folder))
    assert tables[0].equals(tables[1])
    assert (tables[0]["train_loss"] > 0).all()


UNLUCKY = """
import os

import torch
from torch import Tensor, nn

class Unlucky(nn.Module):
    \"\"\"With some seeds it fails in training, after the steps of a proof.\"\"\"

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.unlucky, self.calls = torch.rand(()).item() > 0.85, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        if self.unlucky and self.calls > 8:
            HOW
        return x - x.mean(0)


NORMS = {"unlucky": Unlucky}
"""


@pytest.mark.parametrize("how", ["raise ValueError('no luck')", "os._exit(3)"])
def test_a_run_that_fails_changes_no_number_of_the_others(tmp_path: Path, how: str):
    """They are stacks still, whatever is left of the one that they were in."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(UNLUCKY.replace("HOW", how))
    words = ["norm=unlucky", "model=mlp", "model.depth=1", "model.width=8", "steps=20", "epochs=null", "batch_size=16"]
    tables = []
    for seeds in ("8,9,10,11", "8,10,11"):
        folder = tmp_path / seeds
        specs = compose_request([*words, f"seed={seeds}"], components(plugin)).specs
        store.enter_runs(folder, specs, {}, {})
        task = Task(specs, STACKED, folder, "session", tmp_path, components(plugin).plugin, "cpu", "")
        ends = [end for told in dispatch([task], Means(local, ["cpu"])) for end in told]
        assert {end.spec.seed for end in ends if end.status == "failed"} == {9} & {spec.seed for spec in specs}
        with store.locked(folder):
            store.join(folder)
        tables.append(store.load_metrics(folder))
    runs = store.load_runs(tmp_path / "8,9,10,11").set_index("seed")
    assert set(runs["engine"][[8, 10, 11]]) == {"stacked"} and runs["status"][9] == "failed"
    failed = tables[0]["run_id"] == runs["run_id"][9]
    assert tables[0][~failed].reset_index(drop=True).equals(tables[1]) and (tables[1]["train_loss"] > 0).all()
