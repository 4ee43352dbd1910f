"""Checkpoints of a stack in training: written now and then beside its rows, and read when another process goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bnbench import store
from bnbench.errors import Damaged, Gone
from bnbench.launch import EarlyWarning
from bnbench.spec import RunSpec, run_id
from bnbench.store import Checkpoint, Segment
from bnbench.training.saving import Snapshot, State, Unfit, Unsteady, decode, encode


class TooLarge(Exception):
    """A checkpoint has more bytes than it may have; the message says how many."""


@dataclass(frozen=True)
class Earlier:
    """An attempt that was interrupted, as its checkpoint has it.

    Attributes:
        snapshot: of its training.
        series: its metrics and readings, for :meth:`Segment.restore_series`.
        results: final rows that it had not written yet.
        seconds: by run_id, that it had taken.
        facts: columns of its runs that stay as they were.
    """

    snapshot: Snapshot
    series: Mapping[str, str]
    results: Sequence[Mapping[str, Any]]
    seconds: Mapping[str, float]
    facts: Mapping[str, Any]


def read_earlier(folder: Path, name: str, specs: Sequence[RunSpec], engine: str, device: torch.device) -> Earlier:
    """The attempt from which runs go on, maybe without others that were trained with them.

    Raises:
        Unfit: it cannot be read, or is not of these runs and others that have ended since, by this engine, and of this
            version.
    """
    try:
        checkpoint, body = store.read_checkpoint(folder, name)
    except (Damaged, OSError) as error:
        raise Unfit(str(error)) from error
    identities = tuple(map(run_id, specs))
    if reason := store.unfitness(checkpoint, device.type):
        raise Unfit(reason)
    if tuple(run for run in checkpoint.runs if run in identities) != identities or checkpoint.engine != engine:
        raise Unfit("it is of other runs, or of another engine")
    state = decode(body)
    columns = [identities.index(identity) if identity in identities else -1 for identity in state["columns"]]
    if max(columns) < 0:
        raise Unfit("these runs had ended")
    is_part = any(identity not in (None, *identities) for identity in state["columns"])
    snapshot = Snapshot(checkpoint.step, columns, state["training"], is_part)
    results = [row for row in state["results"] if row["run_id"] in identities]
    return Earlier(snapshot, state["series"], results, state["seconds"], state["facts"])


@dataclass
class Checkpointer:
    """Writes the checkpoints of an attempt; see :class:`bnbench.training.saving.Checkpoints`.

    Attributes:
        segment: of the attempt.
        name: of the file.
        specs: of the attempt.
        engine: that trains them.
        device: on which it does.
        every: seconds from one checkpoint to the next, at least.
        largest: bytes that one may have.
        aside: what the worker itself goes on from: ``results``, ``seconds`` and ``facts`` of :class:`Earlier`.
        tell: is told why there are none.
        snapshot: from which training goes on; None begins it.
        warning: tells that one is due at once, and is answered once it is written, or cannot be.
        seconds: that this has taken so far.
    """

    segment: Segment
    name: str
    specs: Sequence[RunSpec]
    engine: str
    device: torch.device
    every: float
    largest: float
    aside: Callable[[], State]
    tell: Callable[[str], None]
    snapshot: Snapshot | None = None
    warning: EarlyWarning | None = None
    seconds: float = 0.0
    _last: float = field(default_factory=time.monotonic)
    _is_over: bool = False
    _was_refused: bool = False

    def at_pause(self, take: Callable[[], Snapshot]) -> None:
        """Write a checkpoint, if one is due; where that fails, as on a full disk, training goes on."""
        is_warned = self.warning is not None and self.warning.is_given()
        if is_warned or time.monotonic() - self._last >= self.every:
            self.at_stop(take)
        if is_warned and self.warning is not None:
            self.warning.answer()

    def at_stop(self, take: Callable[[], Snapshot]) -> None:
        """Write a checkpoint whenever the last one was; where that fails, the runs begin anew if they go on."""
        if self._is_over:
            return
        start = time.monotonic()
        try:
            self._write(take())
        except (Unsteady, TooLarge) as error:
            self._is_over = True
            self.tell(f"no checkpoints are written: {error}")
        except (Damaged, Gone, OSError, MemoryError) as error:
            if not self._was_refused:
                self.tell(f"a checkpoint could not be written, and training went on: {error}")
            self._was_refused = True
        self._last = time.monotonic()
        self.seconds += self._last - start

    def _write(self, snapshot: Snapshot) -> None:
        aside = self.aside()
        waiting = {row["run_id"] for row in aside["results"]}
        living = {run_id(self.specs[run]) for run in snapshot.columns if run >= 0}
        runs = tuple(identity for identity in map(run_id, self.specs) if identity in living | waiting)
        columns = [run_id(self.specs[run]) if run >= 0 else None for run in snapshot.columns]
        state = {"columns": columns, "training": snapshot.state, "series": self.segment.series(), **aside}
        checkpoint = Checkpoint(self.name, runs, self.engine, self.device.type, store.current_version(), snapshot.step)
        body = encode(state)
        if len(body) > self.largest:
            raise TooLarge(f"one has {len(body) / 2**30:.2f} GiB, and {self.largest / 2**30:g} GiB at most can travel")
        self.segment.checkpoint(checkpoint, body)
