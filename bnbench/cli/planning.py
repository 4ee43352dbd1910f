"""Planning as a user sees it: the step that is being done, and that nothing was trained if it is stopped."""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from bnbench.cli.status import MARGIN, PLAIN_SECONDS, cut
from bnbench.console import announce, echo, plain_console
from bnbench.errors import lacks_room
from bnbench.notices import followed
from bnbench.progress import spent

if TYPE_CHECKING:
    from bnbench import session

INTERRUPTED = "interrupted"
UNTRAINED = "interrupted; nothing was trained"
GOES_ON = "interrupted; the same command goes on where it stopped"


@contextmanager
def told_if_interrupted(text: str) -> Iterator[None]:
    """Say a line if Ctrl-C stops a block."""
    try:
        yield
    except KeyboardInterrupt:
        echo(text)
        raise


@contextmanager
def told_if_full(results: Path, remedy: str = "the same command goes on") -> Iterator[None]:
    """Say what is kept, and what to do, if a disk takes no more of the results that a block writes.

    Args:
        results: the folder that is written to.
        remedy: what to do once it takes more.
    """
    try:
        yield
    except OSError as error:
        if not lacks_room(error, results):
            raise
        need = "let it be written to again" if error.errno == errno.EROFS else "make room"
        kept = f"what was trained is kept as far as it was written; {need}, and {remedy}"
        raise OSError(error.errno, f"{error.strerror}; {kept}", error.filename) from error


def prestart_plugin(plugin: Path | None) -> None:
    """Let the processes that execute a user's code begin to import while this one does; a file that is not there is
    refused later.
    """
    if plugin is not None and plugin.is_file():
        from bnbench.launch import prestart

        prestart("bnbench.worker", "bnbench.plugins")


def prestarted(jobs: int | None, to_train: bool, launcher: str = "local") -> session.Prestart | None:
    """The start of worker processes beside planning, if there will be any.

    Args:
        jobs: worker processes; by default one per processor core.
        to_train: or else to measure steps for an estimate.
        launcher: that trains.
    """
    from bnbench.environment import cores
    from bnbench.launch import LAUNCHERS, prestart
    from bnbench.session import MEASURING, Prestart

    begin = LAUNCHERS[launcher].prestart
    if begin is None or (jobs or cores()) == 1:
        return None
    return Prestart(partial(begin, "bnbench.worker") if to_train else partial(prestart, *MEASURING), to_train)


@contextmanager
def planning(subject: str) -> Iterator[Callable[[], None]]:
    """Show all that comes before training. It begins with a line, before anything is imported.

    On a terminal the step that is being done is shown below it, and gone at the end; in a pipe, or on a terminal that
    cannot move its cursor, a line tells of it every ten seconds. Ctrl-C is answered.

    Args:
        subject: what is planned; empty if it has no name.

    Yields:
        a function that shows no more steps.
    """
    head = f"planning {subject}".rstrip()
    announce(f"{head} ...")
    try:
        with ExitStack() as display:
            step = _Step(time.monotonic())
            display.enter_context(followed(step.follow))
            console = plain_console(whole=True)
            if console.is_terminal and not console.is_dumb_terminal:
                live = Live(step, console=console, refresh_per_second=4, transient=True)
                display.callback(live.stop)  # before it begins, as Ctrl-C may come in between
                live.start()
            else:
                over = threading.Event()
                thread = threading.Thread(target=_tell, args=(head, step, over), daemon=True)
                thread.start()
                display.callback(thread.join)
                display.callback(over.set)
            yield display.close
    except KeyboardInterrupt:
        echo(UNTRAINED)
        raise


class _Step:
    """The step that is being done, and the time that planning has taken so far.

    Args:
        start: on the clock of :func:`time.monotonic`.
    """

    def __init__(self, start: float) -> None:
        self._start, self._now = start, "starting"

    def follow(self, step: str) -> None:
        self._now = step

    @property
    def words(self) -> tuple[str, str]:
        return self._now, spent(time.monotonic() - self._start, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(options.max_width - MARGIN, 1)
        now, elapsed = self.words
        yield Text(cut(f"{cut(now, max(room - cell_len(elapsed) - 2, 0))}  {elapsed}", room))


def _tell(head: str, step: _Step, over: threading.Event) -> None:
    """A line now and then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
    while not over.wait(PLAIN_SECONDS):
        announce(f"{head}: {', '.join(step.words)}")
