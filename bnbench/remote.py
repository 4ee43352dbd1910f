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
from bnbench.launch import Line, Spent
from bnbench.resumption import tasks_left
from bnbench.spec import run_id
from bnbench.tasks import End, Task
from bnbench.worker import work

TELLING_SECONDS = 2.0
"""Seconds from one telling of growth to the next: all that a machine that is lost takes with it."""
LARGEST_CHECKPOINT = 2**30
"""Bytes of a checkpoint that travels from machine to machine, at most."""


def work_away(task: Task, line: Line) -> list[End]:
    """Train runs as :func:`work` does, and tell of all that it writes as :data:`bnbench.store.Growth`.

    Runs that an interrupted attempt has told the ends of are not trained again, and the others go on from checkpoints:
    those that travel with the task, or those in a folder that all machines see. That of runs which stop is told.

    Raises:
        Spent: as :func:`work`.
    """
    with TemporaryDirectory(prefix="bnbench-") as name:
        folder = Path(name)
        for growth in (*line.earlier, task.luggage):
            store.put_down(folder, growth)
        ends = earlier_ends(task, folder)
        statuses = {run_id(end.spec): end.status for end in ends}
        left = [spec for spec in task.specs if run_id(spec) not in statuses]
        largest = math.inf if task.checkpoints else LARGEST_CHECKPOINT
        fresh = replace(
            task, folder=folder, token="", session=uuid.uuid4().hex[:12], luggage=(), largest_checkpoint=largest,
            warning=line.warning,
        )  # fmt: skip
        with _telling(store.Watcher(folder), line):
            for part in tasks_left(fresh, left, statuses):
                try:
                    ends += work(part)
                except Spent as spent:
                    raise Spent([*ends, *spent.value], spent.reason) from None
        return ends


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
    for _ in watcher.take():  # what was told before
        pass
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
