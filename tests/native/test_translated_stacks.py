"""Stacks of translated layers in a worker, which compiles nothing: compiled code trains them to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.native import c_compiler
from bnbench.plan import Execution
from bnbench.plan.case import Case
from bnbench.plan.proofs import why_not_native
from bnbench.spec import run_id
from bnbench.tasks import Task
from bnbench.worker import work
from tests.products import long

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

WORDS = ("model=mlp", "model.width=8", "model.depth=2", "batch_size=32", "epochs=2")
NORMS = ["renorm", *(pytest.param(name, marks=long) for name in ("l1_batch", "xbn", "repbn", "prepbn"))]
"""All that are translated in an MLP and have buffers."""


def planned(tmp_path: Path, *words: str) -> Task:
    """A stack whose layers are translated before, as when it is planned."""
    parts, folder = components(), tmp_path / "results"
    specs = compose_request([*WORDS, *words], parts).specs
    store.enter_runs(folder, specs, {}, {})
    assert why_not_native(Case(specs[0], parts, parts.load(specs[0], tmp_path)), 10**6) is None
    return Task(specs, Execution("native", len(specs)), folder, "session", tmp_path, None, "cpu", "")


def numbers(task: Task) -> dict[str, tuple[object, ...]]:
    """By run, what came of it."""
    runs = store.load_runs(task.folder)
    assert set(runs["engine"]) == {"native"}
    columns = ["status", "steps_done", "train_loss", "val_loss", "test_loss"]
    return dict(zip(runs["run_id"], runs[columns].itertuples(index=False, name=None), strict=True))


@pytest.mark.parametrize("norm", NORMS)
def test_a_lane_that_diverges_changes_nothing_of_the_others(tmp_path: Path, norm: str) -> None:
    beside = planned(tmp_path / "beside", f"norm={norm}", "seed=0,1", "lr=0.05,1e9")
    without = planned(tmp_path / "without", f"norm={norm}", "seed=0,1", "lr=0.05")
    work(beside), work(without)
    found = numbers(beside)
    diverged = {run_id(spec) for spec in beside.specs if spec.lr == 1e9}
    assert {run for run, row in found.items() if row[0] == "diverged"} == diverged
    assert {run: row for run, row in found.items() if run not in diverged} == numbers(without)


@pytest.mark.parametrize("norm", NORMS)
def test_a_stack_goes_on_from_its_checkpoint(tmp_path: Path, norm: str) -> None:
    stopped = planned(tmp_path / "stopped", f"norm={norm}", "seed=0,1")
    whole = planned(tmp_path / "whole", f"norm={norm}", "seed=0,1")
    assert {end.status for end in work(replace(stopped, until=1))} == {store.STOPPED}
    ((name, _),) = store.list_checkpoints(stopped.folder)
    work(replace(stopped, session="another", checkpoint=name)), work(whole)
    assert numbers(stopped) == numbers(whole)


@pytest.mark.parametrize("norm", NORMS[:-1])
def test_statistics_are_frozen_in_compiled_code(tmp_path: Path, norm: str) -> None:
    """By the code of that mode: torch's stack comes to the same. A frozen ``prepbn`` has a weight without gradient."""
    native = planned(tmp_path / "native", f"norm={norm}", "seed=0,1", "freeze_statistics=1", "precision=fp64")
    torch = planned(tmp_path / "torch", f"norm={norm}", "seed=0,1", "freeze_statistics=1", "precision=fp64")
    work(native), work(replace(torch, execution=Execution("stacked", 2)))
    losses = [store.load_metrics(task.folder)["val_loss"].to_list() for task in (native, torch)]
    assert numbers(native) and losses[0] == pytest.approx(losses[1], rel=1e-8)
