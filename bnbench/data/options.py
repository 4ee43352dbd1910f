"""Small checks that loaders share, and hints for a path that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

MOST_BYTES = 16 * 2**30
"""Memory that making a dataset may take."""
MOST_DISK_BYTES = 128 * 2**30
"""Size of what is read as it is needed."""


def fits(options: str, count: int, most: int = MOST_BYTES, of: str = "memory") -> Iterator[str]:
    """A sentence if what the options ask for takes more than so many bytes."""
    if count > most:
        yield f"{options}: takes {count / 2**30:,.0f} GiB of {of}; at most {most / 2**30:.0f} GiB"


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with a replacement character for each control character and each byte that is no UTF-8.

    Python keeps such bytes of file names as lone surrogates, which cannot be written anywhere.
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def neighbours(path: Path) -> str:
    """Neighbors of a missing path, nearest names first."""
    try:
        return printable(_neighbours(path))
    except OSError as error:
        return printable(f"{path.parent} cannot be read: {error.strerror}")


def _neighbours(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"The folder {parent} does not exist"
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    near = get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {', '.join(near)}?"
    listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{parent} holds {listing or 'nothing'}"
