"""Modules are imported whole where that takes long: Ctrl-C is answered behind them."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTING = (signal.SIGINT, signal.SIGURG)
"""Ctrl-C, and the signal by which a thread ends what the main one does."""

_seconds = 0.0


def import_seconds() -> float:
    """Seconds that this process has spent in :func:`imported_whole`."""
    return _seconds


def imported_whole(*modules: str) -> None:
    """Import modules; what is interrupted while it is imported may swallow that, or be half there ever after.

    Signals are not blocked, for another thread would take them, and this one have the interruption all the same.
    """
    if all(module in sys.modules for module in modules):
        return
    global _seconds
    start = time.monotonic()
    with interrupted_behind():
        try:
            for module in modules:
                importlib.import_module(module)
        finally:
            _seconds += time.monotonic() - start


@contextmanager
def interrupted_behind() -> Iterator[None]:
    """Answer what interrupts the main thread in a block behind it."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in INTERRUPTING if main}
    answered = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in answered:
        signal.signal(number, receive)
    try:
        yield
    finally:
        for number, handler in answered.items():
            signal.signal(number, handler)
    for signum in dict.fromkeys(received):
        signal.raise_signal(signum)
