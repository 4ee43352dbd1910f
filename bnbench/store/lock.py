"""The right to write: one program at a time adds to a sweep, and nobody writes rows while they are joined.

The operating system lets go of a dead program's locks. Not every file system carries them to other machines, so that
who adds to a sweep has a lease as well. Workers write on the machine of their program, or by way of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from bnbench.errors import BnbenchError, Damaged, Gone, InvalidRequest, is_full
from bnbench.paths import irregular
from bnbench.store.lease import TAGS_LEASE, Hold, is_leased_elsewhere, leased, other_host
from bnbench.store.sharing import make_folder, share

SWEEP, WRITERS, TAGGERS = ".lock", ".writers", ".taggers"
PATIENCE = 0.5
"""Seconds until a sweep counts as in use; a reader that asks whether it is holds the lock for an instant."""

TAGGERS_PATIENCE = 10.0
"""Seconds to wait for others who give tags, which takes each an instant."""

WRITERS_PATIENCE = 30.0
"""Seconds that the workers of a dead program have to notice that it died."""


@contextmanager
def locked(folder: Path) -> Iterator[Hold]:
    """Hold the sweep, whose folder is made if need be: one program at a time adds to it.

    Yields:
        the hold, which raises :class:`Gone` once the folder has another name, or is no more, or another program on
            another machine has taken it over.

    Raises:
        BnbenchError: another program holds it.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise _unfit(folder, error) from error
    in_use = partial(_in_use, folder)
    with _hold(folder / SWEEP, fcntl.LOCK_EX, PATIENCE, in_use()), leased(folder, PATIENCE, in_use) as lease:
        status = folder.stat()

        def check_there() -> None:
            if not (folder.is_dir() and os.path.samestat(status, folder.stat())):
                raise Gone(folder)
            lease()

        yield Hold(check_there, lease.token)


def check_free(folder: Path) -> None:
    """Refuse a sweep to which a program is adding; whoever trains holds it all the same.

    Raises:
        BnbenchError: as :func:`locked`.
        Damaged: as :func:`is_locked`.
    """
    deadline = time.monotonic() + PATIENCE
    while is_locked(folder):
        if time.monotonic() > deadline:
            raise BnbenchError(_in_use(folder, other_host(folder)))
        time.sleep(0.02)


def is_locked(folder: Path) -> bool:
    """True while a program is adding to the sweep.

    Raises:
        Damaged: there is something else in place of the lock's file.
    """
    try:
        with _opened(folder / SWEEP, os.O_RDONLY) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        pass
    except BlockingIOError:
        return True
    return is_leased_elsewhere(folder)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be one of those who write rows. Raises as :func:`nobody_writing`."""
    if not folder.is_dir():
        raise Gone(folder)
    refusal = f"the results in {folder} are being joined by another bnbench; wait for it"
    with _hold(folder / WRITERS, fcntl.LOCK_SH, WRITERS_PATIENCE, refusal):
        yield


@contextmanager
def nobody_writing(folder: Path) -> Iterator[None]:
    """Wait until nobody writes rows, and keep it so.

    Raises:
        BnbenchError: somebody still does after WRITERS_PATIENCE.
        Gone: there is no such folder.
    """
    if not folder.is_dir():
        raise Gone(folder)
    refusal = f"a worker process of an earlier bnbench still writes to {folder}; end that process and try again"
    with _hold(folder / WRITERS, fcntl.LOCK_EX, WRITERS_PATIENCE, refusal):
        yield


@contextmanager
def tagging(folder: Path) -> Iterator[Hold]:
    """Be the only one who changes the tags of a sweep, which may be trained meanwhile.

    Yields:
        the hold, which raises :class:`Gone` once it is lost to another machine.

    Raises:
        BnbenchError: somebody else does for TAGGERS_PATIENCE.
        Gone: there is no such folder.
    """
    if not folder.is_dir():
        raise Gone(folder)

    def refusal(host: str = "") -> str:
        return f"the tags of {folder} are being changed by another bnbench{f' on {host}' if host else ''}; try again"

    with _hold(folder / TAGGERS, fcntl.LOCK_EX, TAGGERS_PATIENCE, refusal()):
        with leased(folder, TAGGERS_PATIENCE, refusal, TAGS_LEASE) as hold:
            yield hold


def _opened(path: Path, flags: int) -> IO[bytes]:
    """An empty file to be locked; whatever else is in its place is refused, and a pipe not waited for."""
    if path.is_dir():
        raise _unusable(path, "folder")
    stream = os.fdopen(os.open(path, flags | os.O_NONBLOCK, 0o666), "rb" if flags == os.O_RDONLY else "ab")
    if kind := irregular(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise _unusable(path, kind)
    return stream


def _in_use(folder: Path, host: str = "") -> str:
    place = f" on {host}" if host else ""
    return f"{folder} is in use by another bnbench{place}; wait for it, or choose another --name"


def _unusable(path: Path, kind: str) -> Damaged:
    return Damaged(path, f"it must be an empty file, and is a {kind}", "remove it")


def _unfit(folder: Path, error: OSError) -> InvalidRequest:
    return InvalidRequest([f"{folder}: cannot be used ({error.strerror}); choose another --results"])


@contextmanager
def _hold(path: Path, kind: int, patience: float, refusal: str) -> Iterator[None]:
    try:
        stream = _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        share(path)
    except OSError as error:
        if path.name == WRITERS and is_full(error):  # the sweep could be used when it was begun
            raise
        raise _unfit(path.parent, error) from error
    deadline = time.monotonic() + patience
    with stream as lock:
        while True:
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BnbenchError(refusal) from None
                time.sleep(0.02)
            except OSError as error:
                problem = f"{path.parent}: cannot lock files there ({error.strerror}); choose another --results"
                raise BnbenchError(problem) from error
        yield
