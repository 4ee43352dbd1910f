"""A worker as the program has it, wherever it is, and what it says."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bnbench.errors import described
from bnbench.launch.awake import awake_seconds
from bnbench.launch.launcher import Done, failed


@dataclass(frozen=True, slots=True)
class Loss:
    """The end of a worker that has not answered.

    Attributes:
        error: how it ended.
        is_machine: its machine went away, and it with it.
        is_refused: it had no task yet, and its machine is not fit for them, or is being examined.
    """

    error: str
    is_machine: bool = False
    is_refused: bool = False


class Worker(ABC):
    """A worker as the program has it, which answers each message with one or more.

    Args:
        kind: of the tasks that it may have.
        place: from 0, which it has for itself.

    Attributes:
        index: the task in hand.
        since: when it got it, or told something last.
        has_told: it has told something of it.
        is_proven: it has ended a task and may have another one.
        is_starting: it can have no task yet.
    """

    def __init__(self, kind: Hashable, place: int) -> None:
        self.kind, self.place = kind, place
        self.index: int | None = None
        self.since = 0.0
        self.has_told = self.is_proven = self.is_starting = False

    @abstractmethod
    def send(self, message: bytes) -> bool:
        """Give it a task; False if it died idle."""

    @abstractmethod
    def answer(self) -> bytes | Loss | None:
        """The next answer of a worker that is heard of, or how it ended; None if it has only begun, or said nothing."""

    @abstractmethod
    def end(self) -> None:
        """End it and, whether it is dead already or not, what it has started."""


class Staff(Protocol):
    """The workers that can be had somewhere."""

    def start(self, kind: Hashable, place: int) -> Worker:
        """Start one. Raises NoWorkers if that cannot be done."""
        ...

    def heard_of(self, workers: Sequence[Worker], seconds: float | None) -> Sequence[Worker]:
        """Those of some workers, busy or starting, that have said something or died, waited for so long at most."""
        ...

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """End workers: those at work at once, the idle ones as they like."""
        ...


def hand(worker: Worker, index: int, message: bytes) -> bool:
    """Give a worker its task; False if it died idle."""
    if not worker.send(message):
        return False
    worker.index, worker.since, worker.has_told = index, awake_seconds(), False
    return True


def collect(worker: Worker, heard: Callable[[Any], None] | None) -> Done | None:
    """The end of a worker's task, or None if it told of something; one that died or is spent is not proven any more."""
    index = worker.index
    assert index is not None, "only busy workers are waited for"
    answer = worker.answer()
    if answer is None:
        return None
    worker.index = None
    if isinstance(answer, Loss):
        worker.is_proven = False
        return Done(index, None, answer.error, answer.is_machine)
    worker.is_proven = True
    try:
        over, value, error, spent = pickle.loads(answer)
    except Exception as problem:
        return Done(index, None, described(problem))
    if not over and heard is not None:
        worker.index, worker.since, worker.has_told = index, awake_seconds(), True
        heard(value)
        return None
    if spent:
        worker.is_proven = False
        worker.end()
    return failed(index, error) if isinstance(error, OSError) else Done(index, value, error)
