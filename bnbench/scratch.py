"""Folders for what nobody needs once a process is over; what one that was killed leaves, the next one removes."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "bnbench-tmp-"
TRIES = 5


@contextmanager
def scratch_folder(place: str | None = None) -> Iterator[Path]:
    """A folder of this user alone, which goes with the block, or with the next such folder if this process is killed.

    Args:
        place: the folder that it is in; None is that of temporary files.
    """
    place = place or tempfile.gettempdir()
    _remove_abandoned(Path(place))
    lock, folder = _new(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _new(place: str) -> tuple[int | None, Path]:
    """A new folder and its lock; None on a file system without locks."""
    for _ in range(TRIES):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        if (lock := _locked(folder)) is not None:
            return lock, folder
        with suppress(OSError):  # another process has just taken it for abandoned
            folder.rmdir()
    return None, Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))


def _remove_abandoned(place: Path) -> None:
    """Remove the folders that no living process has."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and (lock := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock of a folder, which the system takes from a process that ends; None if another one has it, or may have."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), folder.lstat()):
            return lock
    os.close(lock)
    return None
