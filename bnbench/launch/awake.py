"""A clock for those who watch others: time in which the watcher itself stood still says nothing of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

LONGEST_GAP = 10.0
"""Seconds from one look at the clock to the next that count at most: who watches looks far more often."""


@dataclass
class AwakeClock:
    """Seconds as of :func:`time.monotonic`, less those in which nobody looked, as the process or its machine stood."""

    _last: float = field(default_factory=time.monotonic)
    _stood: float = 0.0

    def __call__(self) -> float:
        """The seconds; only differences say something."""
        now = time.monotonic()
        self._stood += max(0.0, now - self._last - LONGEST_GAP)
        self._last = now
        return now - self._stood


awake_seconds = AwakeClock()
"""The clock of this process."""
