"""A word to a task that its machine is about to be taken away, and the task's answer that it has kept what it can."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

HEEDED, WARNED = "heeded", "warned"
"""Files in the folder of a task: it listens for a warning; there is one that it has not answered yet."""
LOOK_SECONDS = 0.02
"""Seconds from one look for the answer to the next."""


@dataclass(frozen=True)
class EarlyWarning:
    """The warning of one task, for both sides; they are on one machine, and share nothing but a folder.

    Attributes:
        folder: of the task alone.
    """

    folder: Path

    def forget(self) -> None:
        """Begin anew: no earlier attempt at the task listens any more."""
        for name in (HEEDED, WARNED):
            (self.folder / name).unlink(missing_ok=True)

    def heed(self) -> None:
        """Say that the task listens, and answers."""
        (self.folder / HEEDED).touch()

    def is_given(self) -> bool:
        """True from a warning on until it is answered."""
        return (self.folder / WARNED).exists()

    def answer(self) -> None:
        """Say that all is kept that can be; without a warning this does nothing."""
        (self.folder / WARNED).unlink(missing_ok=True)

    def give(self, seconds: float) -> None:
        """Warn a task that listens, and wait for its answer for so many seconds at most."""
        if not (self.folder / HEEDED).exists():
            return
        (self.folder / WARNED).touch()
        deadline = time.monotonic() + seconds
        while self.is_given() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
