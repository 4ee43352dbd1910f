"""The interface of launchers: they take a function and tasks, run them somewhere, and know no machine learning."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bnbench.launch.settings import Settings


@dataclass(frozen=True, slots=True)
class Done:
    """A task that ended.

    Attributes:
        index: which of the tasks.
        value: what the function returned; None if there is an error.
        error: why there is no value: what the function raised, or how its process died.
        is_lost: its machine went away, for which the task is not to blame.
    """

    index: int
    value: Any
    error: str | None = None
    is_lost: bool = False


@dataclass(frozen=True)
class Line:
    """A line from a task to the one who asked for it: called with a value, it tells that, which is heard once.

    Attributes:
        send: sends a value.
        earlier: the values that an attempt at this task has told before it was interrupted; mostly none.
    """

    send: Callable[[Any], None]
    earlier: Sequence[Any] = ()

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


def same(task: Any) -> Any:
    """A task for which nothing has changed."""
    return task


def no_problems(settings: Any) -> Sequence[str]:
    """The problems of a launcher that has none."""
    return ()


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


class AskEach(Protocol):
    """Calls a function with a task once on each machine, in a worker process; the ends, by the machines' names."""

    def __call__(
        self, function: Callable[[Any], Any], task: Any, only: Collection[str] | None = None
    ) -> Sequence[tuple[str, Done]]:
        """Call it.

        Args:
            only: the names of machines; None is all.
        """
        ...


@dataclass(frozen=True)
class Site:
    """A place where tasks can be run at once.

    Attributes:
        launch: runs the tasks there.
        workers: the workers that it has room for, where nobody asks for a number; None says nothing.
        tasks: that an earlier program has left there; handed to ``launch`` as they are, they are not begun again.
        ask_each: see :class:`AskEach`; None where there is this machine only.
    """

    launch: Launch
    workers: int | None = None
    tasks: Sequence[Any] = ()
    ask_each: AskEach | None = None


class Open(Protocol):
    """Makes a site ready, and leaves nothing behind at the end of the block.

    Raises:
        BnbenchError: it cannot be had; nothing has been started.
    """

    def __call__(self, request: Request) -> AbstractContextManager[Site]:
        """Open a site.

        Args:
            request: what the site is for.
        """
        ...


@dataclass(frozen=True)
class Request:
    """A wish for a site.

    Attributes:
        settings: of the launcher.
        jobs: workers that are asked for; None leaves it to the site.
        uses_gpu: tasks train on a GPU.
        folder: of files that outlive the program, for tasks that do.
        detaches: leave the tasks to the site, once they are there.
        adopt: a task that an earlier program has left there, as it is for this one.
    """

    settings: Settings
    jobs: int | None = None
    uses_gpu: bool = False
    folder: Path | None = None
    detaches: bool = False
    adopt: Callable[[Any], Any] = same


@dataclass(frozen=True)
class Launcher:
    """A way to run tasks, with all that a program must know of it.

    Attributes:
        launch: runs the tasks.
        summary: where tasks run, in a few words.
        isolates: tasks run in other processes, which a task may end or spoil.
        compiles: code that tasks need is compiled before they begin; else beside them.
        spares_one: it runs on this machine: a single worker that nobody asked for is spared, and this process has its
            tasks.
        prestart: lets what workers will need be imported while the program still plans, by names of modules; None where
            nothing is to be started.
        is_away: tasks run where this program's folders may not be: what is to be kept of them is told.
        settings: the class of its settings; None where there are none.
        problems: what is wrong at first sight with a site of some settings; quick, and starts nothing.
        begin: lets a site of some settings begin for so many jobs while the program plans; None where nothing would.
        open: makes a site ready; None where ``launch`` is all there is.
        detaches: tasks may outlive the program, which finds them again.
    """

    launch: Launch
    summary: str
    isolates: bool
    compiles: bool
    spares_one: bool = False
    prestart: Callable[..., None] | None = None
    is_away: bool = False
    settings: type[Settings] | None = None
    problems: Callable[[Any], Sequence[str]] = no_problems
    begin: Callable[[Any, int | None], None] | None = None
    open: Open | None = None
    detaches: bool = False
