"""A time after which the main thread is interrupted, as Ctrl-C would."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Deadline:
    """A time on the clock of :func:`time.monotonic`.

    Attributes:
        interrupted: whether :meth:`interrupting` has interrupted its block.
    """

    def __init__(self, budget: float) -> None:
        """Args: budget: seconds from now; infinite for a time that never comes."""
        self._end = time.monotonic() + budget
        self.interrupted = False

    @property
    def left(self) -> float:
        """Seconds until it is there; not below zero."""
        return max(self._end - time.monotonic(), 0.0)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in a block that goes on for longer; in the main thread only.

        Where Ctrl-C is ignored, as in what a script starts with ``&``, it still is; the deadline is not.
        """
        if math.isinf(self.left) or threading.current_thread() is not threading.main_thread():
            yield
            return
        lock, main = threading.Lock(), threading.get_ident()
        over = False

        def interrupt() -> None:
            with lock:
                if not over:
                    self.interrupted = True
                    signal.pthread_kill(main, signal.SIGINT)

        timer = threading.Timer(self.left, interrupt)
        timer.daemon = True
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        if ignored:
            signal.signal(signal.SIGINT, self._if_over)
        timer.start()
        try:
            yield
        finally:
            with lock:
                over = True
            timer.cancel()
            if ignored:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _if_over(self, number: int, frame: FrameType | None) -> None:
        """A handler of signals that hears none before the deadline."""
        if self.interrupted:
            raise KeyboardInterrupt
