"""A stack that trains where the sweep's folder is not: in a folder of its machine, whose growth is told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bnbench import store
from bnbench.launch import Line, Spent
from bnbench.resumption import tasks_left
from bnbench.scratch import scratch_folder
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
    with scratch_folder() as folder:
        for growth in (*line.earlier, task.luggage):
            store.put_down(folder, growth)
        ends = earlier_ends(task, folder)
        statuses = {run_id(end.spec): end.status for end in ends}
        left = [spec for spec in task.specs if run_id(spec) not in statuses]
        largest = math.inf if task.checkpoints else LARGEST_CHECKPOINT
        with _telling(store.Watcher(folder), line) as tell:
            fresh = replace(
                task, folder=folder, token="", session=store.part_name(task.session), luggage=(),
                largest_checkpoint=largest, warning=line.warning, before_checkpoint=tell,
            )  # fmt: skip
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
def _telling(watcher: store.Watcher, line: Line) -> Iterator[Callable[[], None]]:
    """Tell of the growth of a folder now and then, and at the end of the block, whatever ends it.

    What cannot be told, as on a full disk, is told later; at the end it raises.

    Yields:
        a function that tells of it at once, and raises what keeps it from that.
    """
    for _ in watcher.take():  # what was told before
        pass
    over, alone = threading.Event(), threading.Lock()

    def tell() -> None:
        with alone, closing(watcher.take()) as taken:
            for growth in taken:
                line(growth)

    def tell_on() -> None:
        while not over.wait(TELLING_SECONDS):
            with suppress(OSError):
                tell()

    thread = threading.Thread(target=tell_on, daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        over.set()
        thread.join()
        tell()
