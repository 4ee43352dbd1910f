"""The time without news from the runs that train."""

from __future__ import annotations

import time
from pathlib import Path

from bnbench.store.following import Segments
from bnbench.store.segment import ROWS

Sign = frozenset[tuple[str, int, int]]
"""The files that a worker writes, each with its time and its size: another sign than before is a sign of life."""


class Silences:
    """The time without news, by looks at a sweep: a sign is what has changed since the look before.

    So no clock is compared with that of the file system, and one that goes back or forth tells nobody anything.

    Args:
        segments: of the sweep.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._seen: dict[str, tuple[Sign, float]] = {}

    def look(self) -> dict[str, float]:
        """By run_id, the seconds without a record of a running run or, in a stack, of one beside it."""
        now, before, signs = time.monotonic(), self._seen, last_signs(self._segments)
        self._seen = {name: (sign, now) for name, sign in signs.items()}
        self._seen |= {name: seen for name, seen in before.items() if signs.get(name) == seen[0]}
        return {name: now - since for name, (_, since) in self._seen.items()}


def last_signs(segments: Segments) -> dict[str, Sign]:
    """By run_id, the files with records of a running run or, in a stack, of one beside it, as they are now.

    The times are on the clock of the file system, which may be another one than that of this machine, and may go back:
    which of two signs is the later one cannot be told from them.
    """
    signs: dict[str, Sign] = {}
    stories = segments.look()
    for path, story in stories.items():
        alive = [name for name in story.running if not any(name in other.ended for other in stories.values())]
        try:
            beside = [*path.parent.glob(f"{path.name.removesuffix(ROWS)}.*")] if alive else []
            written = frozenset(_as_it_is(file) for file in beside)
        except OSError:
            continue  # joined meanwhile
        signs |= {name: written | signs.get(name, frozenset()) for name in alive}
    return signs


def _as_it_is(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return file.name, status.st_mtime_ns, status.st_size
