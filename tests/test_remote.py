"""What a worker on another machine tells, and when."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import remote, store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.launch import Line
from bnbench.plan import Execution
from bnbench.spec import run_id
from bnbench.store import segment
from bnbench.tasks import Task

WORDS = ("norm=none", "model=mlp", "model.width=8", "epochs=8", "lr=0.01,1e9")


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A stack of two runs, one of which diverges, with checkpoints at all pauses; nothing is told by the clock."""
    monkeypatch.setattr(remote, "TELLING_SECONDS", 1e6)
    specs, here = compose_request(list(WORDS), components()).specs, tmp_path / "here"
    store.enter_runs(here, specs, {}, {})
    task = Task(specs, Execution("stacked", 2), here, "session", tmp_path, None, "cpu", "", checkpoint_every=0)
    return replace(task, checkpoints=here)


@pytest.mark.usefixtures("compiled")
def test_who_sees_a_checkpoint_or_that_there_is_none_sees_the_results_before_it(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is lost at any instant takes no result with it that its checkpoint does not have either."""
    missing: list[set[str]] = []

    def look(runs: tuple[str, ...]) -> None:
        rows = store.segment_rows(task.folder)
        missing.append(
            {one for one in map(run_id, task.specs) if one not in runs and not store.is_over(rows[one], None)}
        )

    write, remove = segment.write_checkpoint, segment.remove_checkpoint
    monkeypatch.setattr(segment, "write_checkpoint", lambda *words: (look(words[1].runs), write(*words)))
    monkeypatch.setattr(segment, "remove_checkpoint", lambda *words: (look(()), remove(*words)))
    ends = remote.work_away(task, Line(lambda growth: store.put_down(task.folder, growth)))
    assert sorted(end.status for end in ends) == ["completed", "diverged"] and len(missing) > 5
    assert missing == [set()] * len(missing)


@pytest.mark.usefixtures("compiled")
def test_what_a_full_disk_did_not_take_is_told_later(task: Task) -> None:
    """Now and then there is no room; training goes on, and what comes later has all that was not heard."""
    turns: Iterator[bool] = itertools.chain([False, True, True, False, True], itertools.repeat(False))

    def send(growth: store.Growth) -> None:
        if next(turns):
            raise OSError(28, "No space left on device")
        store.put_down(task.folder, growth)

    ends = remote.work_away(task, Line(send))
    rows = store.segment_rows(task.folder)
    assert {run_id(end.spec): end.status for end in ends} == {one: row["status"] for one, row in rows.items()}
    assert sorted(store.load_runs(task.folder)["status"]) == ["completed", "diverged"]
    assert store.load_metrics(task.folder).groupby("run_id").size().tolist() == [8]
