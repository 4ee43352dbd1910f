"""Small checks that loaders share, and hints for a path that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path


def at_least(name: str, value: int, bound: int) -> Iterator[str]:
    """A sentence if the option ``dataset.name`` is not a whole number of at least ``bound``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < bound:
        yield f"dataset.{name}={value}: must be a whole number, {bound} or more"


def neighbours(path: Path) -> str:
    """What lies next to a missing path, nearest names first."""
    parent = path.parent
    if not parent.is_dir():
        return f"The folder {parent} does not exist"
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    near = get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {', '.join(near)}?"
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{parent} holds {shown or 'nothing'}"
