"""A stack that trains where the sweep's folder is not: in a folder of its machine, whose growth is told."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bnbench import store
from bnbench.launch import Line
from bnbench.spec import run_id
from bnbench.tasks import End, Task
from bnbench.worker import work

TELLING_SECONDS = 2.0
"""Seconds from one telling of growth to the next: all that a machine that is lost takes with it."""


def work_away(task: Task, line: Line) -> list[End]:
    """Train runs as :func:`work` does, and tell of all that it writes as :data:`bnbench.store.Growth`.

    Runs that an interrupted attempt has told the ends of are not trained again. They go on from the checkpoint that the
    task carries; that of runs which stop is told.

    Raises:
        Spent: as :func:`work`.
    """
    with TemporaryDirectory(prefix="bnbench-") as name:
        folder = Path(name)
        checkpoint = task.checkpoint if task.carried else ""
        if checkpoint:
            store.put_checkpoint(folder, checkpoint, task.carried)
        for growth in line.earlier:
            store.put_down(folder, growth)
        ended = earlier_ends(task, folder)
        ids = {run_id(end.spec) for end in ended}
        left = tuple(spec for spec in task.specs if run_id(spec) not in ids)
        with _telling(store.Watcher(folder), line):
            fresh = replace(
                task,
                specs=left,
                folder=folder,
                session=uuid.uuid4().hex[:12],
                checkpoint_every=math.inf,
                checkpoint=checkpoint,
                carried=b"",
            )
            return [*ended, *(work(fresh) if left else [])]


def earlier_ends(task: Task, folder: Path) -> list[End]:
    """The ends of a task's runs that a folder knows of."""
    rows = store.segment_rows(folder)
    return [
        End(spec, rows[run_id(spec)]["status"], rows[run_id(spec)]["error"])
        for spec in task.specs
        if rows.get(run_id(spec), {}).get("status") in {*store.RESULTS, *store.HELD_BACK, store.STOPPED}
    ]


@contextmanager
def _telling(watcher: store.Watcher, line: Line) -> Iterator[None]:
    """Tell of the growth of a folder now and then, and at the end of the block, whatever ends it."""
    list(watcher.take())  # what was told before
    over = threading.Event()

    def tell() -> None:
        for growth in watcher.take():
            line(growth)

    def tell_on() -> None:
        while not over.wait(TELLING_SECONDS):
            tell()

    thread = threading.Thread(target=tell_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell()
