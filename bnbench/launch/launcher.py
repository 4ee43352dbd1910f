"""The interface of launchers: they take a function and tasks, run them somewhere, and know no machine learning."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bnbench.errors import described, is_full
from bnbench.launch.early_warning import EarlyWarning


@dataclass(frozen=True, slots=True)
class Done:
    """A task that ended.

    Attributes:
        index: which of the tasks.
        value: what the function returned; None if there is an error.
        error: why there is no value: what the function raised, or how its process died.
        is_lost: its machine went away, for which the task is not to blame.
        is_late: it was ended because nothing had come from it for too long.
        is_given_up: it was interrupted as often as it may be, for which it is not to blame either.
        no_room: the error of a disk that takes no more, which it let pass.
    """

    index: int
    value: Any
    error: str | None = None
    is_lost: bool = False
    is_late: bool = False
    is_given_up: bool = False
    no_room: OSError | None = None


def failed(index: int, error: BaseException) -> Done:
    """The end of a task that raised."""
    return Done(index, None, described(error), no_room=error if is_full(error) else None)


@dataclass(frozen=True)
class Line:
    """A line from a task to the one who asked for it: called with a value, it tells that, which is heard once.

    Attributes:
        send: sends a value.
        earlier: the values that an attempt at this task has told before it was interrupted; mostly none.
        warning: tells that the machine is about to be taken away; None where nobody warns.
    """

    send: Callable[[Any], None]
    earlier: Sequence[Any] = ()
    warning: EarlyWarning | None = None

    def __call__(self, value: Any) -> None:
        """Tell a value."""
        self.send(value)


class Spent(Exception):
    """Raised by a function whose process must do nothing more; its task has ended all the same.

    Args:
        value: what the function has come to.
        reason: what became of the process, and what to do.
    """

    def __init__(self, value: Any, reason: str) -> None:
        self.value, self.reason = value, reason
        super().__init__(reason)


def same_kind(task: Any) -> Hashable:
    """The kind of tasks that may all share a process."""
    return None


def as_it_is(task: Any, place: int) -> Any:
    """The task of a worker for whom its place makes no difference."""
    return task


class Launch(Protocol):
    """Runs ``function(task)`` for each task and yields the ends as they come.

    Closing the iterator stops what still runs. A task's end is told once; a task that raises (SystemExit too) or whose
    process dies ends with an error, and the others go on. KeyboardInterrupt stops everything.
    """

    def __call__(
        self,
        function: Callable[..., Any],
        tasks: Sequence[Any],
        jobs: int,
        kinds: Callable[[Any], Hashable] = same_kind,
        placed: Callable[[Any, int], Any] = as_it_is,
        heard: Callable[[Any], None] | None = None,
    ) -> Generator[Done, None, None]:
        """Run the tasks; up to ``jobs`` at a time.

        Args:
            kinds: of a task; where there are several processes, tasks of two kinds never share one.
            placed: a task as the worker has it that has a place from 0 to ``jobs - 1``. A worker keeps its place, and
                no two that live have the same one.
            heard: is given what the function tells on the way, in order and before its end; it is then called as
                ``function(task, line)`` with a :class:`Line`.
        """
        ...


Waited = Callable[[Mapping[int, float]], Collection[int]]
"""Those among tasks from which nothing has come for too long, by their index, from the seconds that each has taken."""


STARTING_SECONDS = 60.0
"""Seconds that the worker of a task may need, on top of what the task may take, until it gives its first sign."""


class WatchfulLaunch(Protocol):
    """A :class:`Launch` that can end a task, with its worker, from which nothing comes."""

    def __call__(
        self,
        function: Callable[..., Any],
        tasks: Sequence[Any],
        jobs: int,
        kinds: Callable[[Any], Hashable] = same_kind,
        placed: Callable[[Any, int], Any] = as_it_is,
        heard: Callable[[Any], None] | None = None,
        waited: Waited | None = None,
    ) -> Generator[Done, None, None]:
        """Run the tasks.

        Args:
            waited: names the tasks that are to be ended.
        """
        ...
