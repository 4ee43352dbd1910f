"""The owner of a sweep: the program whose segments count.

A lease stops nobody who writes for a program that has lost it: its worker may begin a segment afterwards. So segments
bear the token of the lease under which they are written. Who has the sweep next joins what there is, and then enters
its own token: from there on segments of others do not count, neither for readers nor for those who join.

The token is in a file with a number, and each number is given once. Who wants to be the next owner reads the number of
the last one before it looks whether it holds the lease; if another one comes in between, its number is gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import TakenOver
from bnbench.store.files import naming, sync_folder
from bnbench.store.lease import Hold, other_host
from bnbench.store.sharing import share

OWNER = ".owner"
_NUMBERED = re.compile(rf"{re.escape(OWNER)}-(\d+)")
_TOKEN = re.compile(r"([0-9a-f]{32})\.")
"""The beginning of the name of a segment that has one."""


@dataclass(frozen=True)
class Owner:
    """Who has entered itself last.

    Attributes:
        number: of its file; 0 where nobody has yet.
        token: of its lease; empty where a crash has left none, and no segment with one counts then.
    """

    number: int = 0
    token: str = ""

    def owns(self, segment: str) -> bool:
        """True if a segment of this name counts: it is the owner's, or has no token, as those of earlier versions."""
        match = _TOKEN.match(segment)
        return match is None or not self.number or match[1] == self.token


def owned_name(name: str, token: str) -> str:
    """The name of a segment that is written for the holder of a lease; its own without one."""
    return f"{token}.{name}" if token else name


def read_owner(folder: Path) -> Owner:
    """The owner of a sweep."""
    while True:
        last = max(_files(folder), default=None)
        if last is None:
            return Owner()
        try:
            return Owner(last[0], last[1].read_text(encoding="ascii", errors="replace"))
        except FileNotFoundError:
            continue  # the next one has come


def check_owner(folder: Path, token: str) -> None:
    """Refuse what is written for one that is not the owner any more; where no token is known, nobody is refused.

    Raises:
        TakenOver: somebody else owns the sweep.
    """
    if token and (owner := read_owner(folder)).number and owner.token != token:
        raise TakenOver(folder, other_host(folder))


def enter_owner(folder: Path, last: Owner, hold: Hold) -> None:
    """Make who holds a sweep its owner. All segments that count are joined.

    Args:
        last: was read while ``hold`` held.

    Raises:
        TakenOver: another program has taken the sweep.
    """
    if not hold.token or hold.token == last.token:
        return
    hold()
    path = folder / f"{OWNER}-{last.number + 1}"
    try:
        with naming(path), path.open("x", encoding="ascii") as stream:
            share(path)
            stream.write(hold.token)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise TakenOver(folder, other_host(folder)) from None
    sync_folder(folder)
    for number, earlier in _files(folder):
        if number <= last.number:
            with suppress(OSError):  # it is another user's, and does no harm
                earlier.unlink()


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{OWNER}-*"):
        if match := _NUMBERED.fullmatch(path.name):
            yield int(match[1]), path
