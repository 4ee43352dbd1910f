"""Launchers as the program chooses among them, and the sites that they make ready."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bnbench.launch.launcher import Done, Launch, WatchfulLaunch
from bnbench.launch.settings import Settings


def same(task: Any) -> Any:
    """A task for which nothing has changed."""
    return task


def no_problems(settings: Any) -> Sequence[str]:
    """The problems of a launcher that has none."""
    return ()


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


Examine = Callable[[AskEach], Sequence[str]]
"""Says why machines that are asked are not fit for the tasks, and may give them what they lack; nothing if all are."""


@dataclass(frozen=True)
class Site:
    """A place where tasks can be run at once.

    Attributes:
        launch: runs the tasks there.
        workers: the workers that it has room for, where nobody asks for a number; None says nothing.
        tasks: that an earlier program has left there; handed to ``launch`` as they are, they are not begun again.
        ask_each: see :class:`AskEach`; None where there is this machine only.
        guarded: as ``launch``, where no machine has tasks that came after ``ask_each`` was called last, unless it is
            examined and fit for them; None where none can come.
    """

    launch: Launch
    workers: int | None = None
    tasks: Sequence[Any] = ()
    ask_each: AskEach | None = None
    guarded: Callable[[Examine], Launch] | None = None


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
        patience: seconds for which nothing may come from a task before it is ended, with its worker.
        adopt: a task that an earlier program has left there, as it is for this one.
    """

    settings: Settings
    jobs: int | None = None
    uses_gpu: bool = False
    folder: Path | None = None
    detaches: bool = False
    patience: float = math.inf
    adopt: Callable[[Any], Any] = same


def nothing_left(folder: Path) -> int:
    """The tasks that a launcher has left behind whose tasks do not outlive the program."""
    return 0


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
        shares_folder: they run where the folder of :class:`Request` is, all the same.
        settings: the class of its settings; None where there are none.
        problems: what is wrong at first sight with a site of some settings; quick, and starts nothing.
        begin: lets a site of some settings begin for so many jobs while the program plans; None where nothing would.
        open: makes a site ready; None where ``launch`` is all there is.
        detaches: tasks may outlive the program, which finds them again.
        left: how many tasks a program has left there, with their files in a folder.
        watchful: as ``launch``, where this program can end a worker; None where nobody does, or the site.
        package: the module that it needs, which an extra of the launcher's name installs; None where there is none.
    """

    launch: Launch
    summary: str
    isolates: bool
    compiles: bool
    spares_one: bool = False
    prestart: Callable[..., None] | None = None
    is_away: bool = False
    shares_folder: bool = False
    settings: type[Settings] | None = None
    problems: Callable[[Any], Sequence[str]] = no_problems
    begin: Callable[[Any, int | None], None] | None = None
    open: Open | None = None
    detaches: bool = False
    left: Callable[[Path], int] = nothing_left
    watchful: WatchfulLaunch | None = None
    package: str | None = None
