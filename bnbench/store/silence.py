"""The time without news from the runs that train."""

from __future__ import annotations

import time

from bnbench.store.following import Segments
from bnbench.store.segment import ROWS


def silences(segments: Segments) -> dict[str, float]:
    """By run_id, the seconds since a worker wrote a record of a running run or, in a stack, of one beside it."""
    now = time.time()
    return {name: now - written for name, written in last_signs(segments).items()}


def last_signs(segments: Segments) -> dict[str, float]:
    """By run_id, when a worker last wrote a record of a running run or, in a stack, of one beside it.

    In seconds on the clock of the file system, which may be another one than that of this machine.
    """
    signs: dict[str, float] = {}
    stories = segments.look()
    for path, story in stories.items():
        alive = [name for name in story.running if not any(name in other.ended for other in stories.values())]
        try:
            beside = path.parent.glob(f"{path.name.removesuffix(ROWS)}.*") if alive else ()
            written = max(file.stat().st_mtime for file in beside)
        except (OSError, ValueError):
            continue  # joined meanwhile, or nobody runs
        signs |= {name: max(written, signs.get(name, written)) for name in alive}
    return signs
