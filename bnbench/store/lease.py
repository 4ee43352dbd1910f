"""A lease on a sweep, or on its tags, for file systems whose locks do not reach other machines.

A file in the sweep's folder names the program that holds it, which renews the file as long as it lives. One of this
machine is judged by the lock of the system, one of another machine by the file: who waits looks whether it changes, and
compares no clocks of two machines. A program that was stopped for longer than its lease may have lost it to another
one: it asks before it changes a table, and writes nothing more.

There is no lock for readers: what they read is replaced as a whole, or only ever grows by whole rows.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from bnbench.errors import FULL, BnbenchError, TakenOver
from bnbench.notices import notice
from bnbench.store.files import naming

if TYPE_CHECKING:
    from filelock import SoftFileLease

LEASE, TAGS_LEASE = ".lease", ".tags-lease"
LEASE_SECONDS = 120.0
"""Seconds without a renewal, of which there is one in each third of them, after which a lease is over."""
TORN_SECONDS = 2.5
"""Seconds until a file that names nobody, as its program died while it wrote it, is taken for what it is."""
LOOK_SECONDS = 0.05
"""Seconds in which another program that judges the file has put it back."""


def _nothing() -> None:
    """Find nothing wrong."""


@dataclass(frozen=True)
class Hold:
    """A sweep that is held. Called, it raises once it is not.

    Attributes:
        check: what is called.
        token: of the lease, by which those who write for its holder are known; empty where there is no lease.
    """

    check: Callable[[], None] = _nothing
    token: str = ""

    def __call__(self) -> None:
        """Raise what ``check`` raises."""
        self.check()


NO_LEASE = Hold()
"""The hold of a program that has no lease, and makes sure otherwise that nobody else writes."""


@contextmanager
def leased(folder: Path, patience: float, refusal: Callable[[str], str], name: str = LEASE) -> Iterator[Hold]:
    """Hold a lease on a sweep, whose lock of the system the caller has.

    So a holder on this machine is dead, even if nobody has taken in its end. One on another machine that seems to be
    dead is waited for until that is sure.

    Args:
        patience: seconds to wait for one that lives.
        refusal: the words in which a sweep is refused that a program on some machine holds.
        name: of the lease's file.

    Yields:
        the hold, which raises :class:`TakenOver` once another program has taken it.

    Raises:
        BnbenchError: somebody holds it.
        OSError: the file cannot be written. On a full disk there is no lease, and the lock of this machine alone.
    """
    lease, seconds, held = _lease(folder, name), patience, folder if name == LEASE else folder / name
    if (host := other_host(folder, name)) and not is_leased_elsewhere(folder, name):
        seconds += LEASE_SECONDS
        notice(f"{held} was held by a bnbench on {host}, which seems to be dead; that is sure in {seconds:.0f} s")
    deadline = time.monotonic() + seconds
    try:
        if lease.owner is not None and not other_host(folder, name):
            lease.force_break()
        if not _wait(lease, deadline):
            raise BnbenchError(refusal(other_host(folder, name)))
    except OSError as error:
        if error.errno not in FULL or other_host(folder, name):
            raise
        yield NO_LEASE  # who has no room for a lease may still want to remove something
        return
    token = lease.token or ""
    try:
        yield Hold(lambda: _check_held(folder, lease, token), token)
    finally:
        lease.release()


def _wait(lease: SoftFileLease, deadline: float) -> bool:
    """Take a lease once nobody has it; False if somebody still has it at a time."""
    empty: tuple[int, int] | None = None
    since = 0.0
    while not _try(lease):
        now, before, empty = time.monotonic(), empty, _empty(Path(lease.lock_file))
        if empty != before:
            since = now
        elif empty and now - since > TORN_SECONDS:
            lease.force_break()
            continue
        if now > deadline + (TORN_SECONDS if lease.owner is None else 0.0):
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _empty(path: Path) -> tuple[int, int] | None:
    """A file with nothing in it, by its number and its time: its program died before it wrote, or is about to.

    The lock takes such a file for one of an old version that lives.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return None if status.st_size else (status.st_ino, status.st_ctime_ns)


def _try(lease: SoftFileLease) -> bool:
    """Take a lease, if nobody has it; signals are for the main thread, and not for the one that renews it."""
    from filelock import Timeout

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with naming(Path(lease.lock_file)):
            lease.acquire(blocking=False)
    except Timeout:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return True


def other_host(folder: Path, name: str = LEASE) -> str:
    """The machine whose program has the file of a lease; empty if it is this one, or there is none."""
    if not (folder / name).exists():
        return ""
    owner = _lease(folder, name).owner
    host = owner.hostname.partition("?pidns")[0] if owner else ""  # without the part that tells containers of it apart
    return "" if host == socket.gethostname() else host


def is_leased_elsewhere(folder: Path, name: str = LEASE) -> bool:
    """True if a program on another machine holds the sweep, as far as one look tells: by the clock of the files."""
    if not other_host(folder, name):
        return False
    try:
        renewed = (folder / name).stat().st_mtime
        with TemporaryFile(dir=folder) as now:
            return os.fstat(now.fileno()).st_mtime - renewed <= LEASE_SECONDS
    except FileNotFoundError:
        return False
    except OSError:
        return True  # nobody may ask the clock of these files


def _lease(folder: Path, name: str) -> SoftFileLease:
    from filelock import SoftFileLease

    return SoftFileLease(folder / name, lease_duration=LEASE_SECONDS, thread_local=False)


def _check_held(folder: Path, lease: SoftFileLease, token: str) -> None:
    """Raise :class:`TakenOver` if the lease is no more that of a token."""
    for _ in range(2):
        owner = lease.owner
        if owner is not None and owner.token == token:
            return
        time.sleep(LOOK_SECONDS)
    raise TakenOver(folder, other_host(folder, Path(lease.lock_file).name))
