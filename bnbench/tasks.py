"""Runs that a worker trains together, the attempts at them, and how each ended. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bnbench.launch import EarlyWarning
from bnbench.plan.execution import Engine, Execution
from bnbench.plugin_source import Plugin
from bnbench.spec import RunSpec, run_id
from bnbench.store import Growth, nothing


@dataclass(frozen=True)
class Task:
    """What a worker needs to train the runs of one stack.

    Attributes:
        specs: with one stack key, unless they are interleaved.
        execution: how they are trained, as it was planned.
        folder: the sweep's folder.
        session: unique to one call of bnbench; names the worker's segment.
        data: the folder of the datasets.
        plugin: what was read when the runs were planned. It travels with each task, at some milliseconds per megabyte,
            far less than it takes to execute it; its files are not read again.
        device: of the worker that has it; as long as none has it, that of the plan.
        git_commit: of the folder that the user works in, for the record.
        save_weights: whether the weights of trained networks are kept.
        checkpoint_every: seconds of training from one checkpoint to the next, at least; infinite for none.
        timeout: seconds that a run may train; infinite for all that it takes.
        checkpoint: the name of the one from which the runs go on; without, they begin.
        checkpoints: the folder in which checkpoints/ is, if it is not ``folder``.
        largest_checkpoint: bytes that one may have.
        luggage: what travels with the task, and is put down in the folder where it trains.
        notes: lines for the logs of its runs.
        warning: tells that a checkpoint is due at once; None where nobody warns.
        before_checkpoint: is called before one is written or removed: who sees that is to see the rows before it.
        until: stop after so many epochs, with a checkpoint from which the runs can go on; None trains to the end.
        token: of the lease of the program that has the folder; empty where nobody has one.
    """

    specs: tuple[RunSpec, ...]
    execution: Execution
    folder: Path
    session: str
    data: Path
    plugin: Plugin | None
    device: str
    git_commit: str
    save_weights: bool = False
    checkpoint_every: float = math.inf
    timeout: float = math.inf
    checkpoint: str = ""
    checkpoints: Path | None = None
    largest_checkpoint: float = math.inf
    luggage: Growth = ()
    notes: tuple[str, ...] = ()
    warning: EarlyWarning | None = None
    before_checkpoint: Callable[[], None] = nothing
    until: int | None = None
    token: str = ""

    @property
    def checkpoint_place(self) -> Path:
        """The folder in which checkpoints/ is."""
        return self.checkpoints or self.folder


@dataclass(frozen=True)
class Attempt:
    """Runs that are trained together, by an engine that was planned or, after a failure, by a slower one.

    Attributes:
        checkpoint: the name of the one from which they go on; without, they begin.
        rank: which of the processes that train a run on several devices this is.
    """

    specs: tuple[RunSpec, ...]
    engine: Engine
    checkpoint: str = ""
    rank: int = 0

    @property
    def is_alone(self) -> bool:
        """Whether each run is trained by the reference engine; the last resort for a single one."""
        return self.engine in ("reference", "interleaved")

    def by_torch(self) -> Attempt:
        """The same from the beginning, without compiled code."""
        return replace(self, engine="stacked", checkpoint="") if self.engine == "native" else self

    @property
    def devices(self) -> int:
        """The processes that train it together; runs of a stack have one."""
        return max(spec.devices for spec in self.specs)

    @property
    def checkpoint_name(self) -> str:
        """The name of its checkpoints: runs are in one attempt at a time."""
        return self.checkpoint or run_id(self.specs[0])


def halves(tried: Attempt, left: Sequence[RunSpec]) -> list[Attempt]:
    """Two smaller attempts for the runs that one has left over; a run that was tried by itself is trained alone."""
    middle = (len(left) + 1) // 2
    engine: Engine = tried.engine if len(tried.specs) > 1 else "reference"
    return [Attempt(tuple(part), engine) for part in (left[:middle], left[middle:]) if part]


@dataclass(frozen=True)
class End:
    """How a run ended."""

    spec: RunSpec
    status: str
    error: str = ""
