"""A look at a sweep now and then: how far it is, and whether its runs give a sign of life."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from bnbench import store
from bnbench.errors import BnbenchError, Gone
from bnbench.isolation import SILENT_SECONDS
from bnbench.spec import RunSpec

GONE = signal.SIGURG
"""Interrupts the main thread: Ctrl-C's own signal is ignored by a program that a script began in the background."""
POLL_SECONDS = 1.0
"""Seconds from one look to the next."""
Silent = Mapping[RunSpec, float]
"""Runs from which nothing has come, and for how many seconds."""


@contextmanager
def watched(
    folder: Path, specs: Mapping[str, RunSpec], tell: Callable[[Silent], None], check_there: Callable[[], None]
) -> Iterator[None]:
    """Tell at each look, from a thread of its own, which runs have been silent for :data:`SILENT_SECONDS`; mostly none.

    Before any run has begun, as while networks are proved and measured, all of them are silent. Once the folder is
    gone, the main thread is interrupted as by Ctrl-C, if that is what trains: nothing that comes could be kept.

    Raises:
        Gone: at the end, if ``check_there`` says so.
    """
    over, silences = threading.Event(), store.Silences(store.Segments(folder))
    trains = threading.current_thread() is threading.main_thread()
    earlier = signal.signal(GONE, _interrupt) if trains else None

    def look() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        last_sign = time.monotonic()
        while not over.wait(POLL_SECONDS):
            if _is_gone(check_there):
                if trains:
                    signal.pthread_kill(threading.main_thread().ident or 0, GONE)
                return
            with suppress(OSError, BnbenchError):  # the folder may go at any moment, which the next look tells
                if silent := _silent_runs(silences, specs):
                    last_sign = time.monotonic()
                else:
                    silent = dict.fromkeys(specs.values(), time.monotonic() - last_sign)
                tell({spec: seconds for spec, seconds in silent.items() if seconds >= SILENT_SECONDS})

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if trains:
            signal.signal(GONE, earlier)
        check_there()


def _silent_runs(silences: store.Silences, specs: Mapping[str, RunSpec]) -> dict[RunSpec, float]:
    """Runs in training, and the seconds since each gave a sign of life."""
    return {specs[name]: seconds for name, seconds in silences.look().items() if name in specs}


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _is_gone(check_there: Callable[[], None]) -> bool:
    """True if a folder is known to be gone; a file system that does not answer is asked again at the next look."""
    try:
        check_there()
    except Gone:
        return True
    except OSError:
        return False
    return False
