"""The names of attempts at runs. They tell the order of the attempts, whatever the clocks of their machines say."""

from __future__ import annotations

import re
import uuid

_NUMBERED = re.compile(r"(?:[0-9a-f]{32}\.)?try-(\d+)\.(\d+)-")
"""The beginning of such a name, and of a segment's behind the token of its owner."""


def attempt_name(earlier: str = "") -> str:
    """A name for the rows of another attempt, which stay apart: behind an earlier one, or the first."""
    return f"try-{attempt_order(earlier)[0] + 1}.0-{uuid.uuid4().hex[:12]}"


def part_name(earlier: str) -> str:
    """The same for one that the process of an earlier one makes by itself: all of these are before the next attempt."""
    number, part = attempt_order(earlier)
    return f"try-{number}.{part + 1}-{uuid.uuid4().hex[:12]}"


def attempt_order(name: str) -> tuple[int, int]:
    """The place of an attempt among those at the same runs, of which the later ones are larger; (0, 0) of others."""
    match = _NUMBERED.match(name)
    return (int(match[1]), int(match[2])) if match else (0, 0)
