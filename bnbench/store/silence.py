"""The time without news from the runs that train."""

from __future__ import annotations

import time

from bnbench.store.following import Segments
from bnbench.store.segment import ROWS


def silences(segments: Segments) -> dict[str, float]:
    """By run_id, the seconds since a worker wrote a record of a running run or, in a stack, of one beside it."""
    silent: dict[str, float] = {}
    stories = segments.look()
    for path, story in stories.items():
        alive = [name for name in story.running if not any(name in other.ended for other in stories.values())]
        try:
            beside = path.parent.glob(f"{path.name.removesuffix(ROWS)}.*") if alive else ()
            seconds = time.time() - max(file.stat().st_mtime for file in beside)
        except (OSError, ValueError):
            continue  # joined meanwhile, or nobody runs
        silent |= {name: min(seconds, silent.get(name, seconds)) for name in alive}
    return silent
