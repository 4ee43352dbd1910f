"""The processes of a program that trains, as ``/proc`` shows them."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Members:
    """The processes of a program by what they do.

    Attributes:
        program: that was called.
        fork_servers: that start its workers.
        workers: that a fork server has started.
        others: such as multiprocessing's tracker of resources.
    """

    program: tuple[int, ...]
    fork_servers: tuple[int, ...]
    workers: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every one of them, the program first."""
        return (*self.program, *self.fork_servers, *self.workers, *self.others)


def adopt_orphans() -> None:
    """Let this process be the parent of what a dead program has left behind, so that it is found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def members(program: int) -> Members:
    """The processes of a program that have not ended."""
    parents = _parents()
    below = _below(program, parents)
    with_children = set(map(parents.__getitem__, below))
    servers = {
        pid
        for pid in below
        if parents[pid] == program and (pid in with_children or b"multiprocessing.forkserver" in _words(pid))
    }
    workers = {pid for pid in below if parents[pid] in servers}
    return Members(
        (program,) if program in parents else (),
        tuple(sorted(servers)),
        tuple(sorted(workers)),
        tuple(sorted(below - servers - workers)),
    )


def living(strangers: frozenset[int] = frozenset()) -> set[int]:
    """The processes below this one that have not ended, but for ``strangers``."""
    return _below(os.getpid(), _parents()) - strangers


def send(pids: tuple[int, ...], number: signal.Signals) -> int:
    """Send a signal to processes, and return how many were still there."""
    count = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            count += 1
    return count


def command_line(pid: int) -> str:
    """The words of a process, for a message."""
    return f"{pid} ({_words(pid).replace(bytes(1), b' ').decode(errors='replace').strip()[:200]})"


def reap(pids: set[int]) -> None:
    """Take in the ends of orphans that this process has adopted."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _below(root: int, parents: dict[int, int]) -> set[int]:
    tree, size = {root}, 0
    while len(tree) > size:
        size = len(tree)
        tree |= {child for child, parent in parents.items() if parent in tree}
    return tree - {root}


def _parents() -> dict[int, int]:
    """By process, the one that it is a child of; none of those that have ended."""
    return {pid: parent for pid, state, parent in _stats() if state != "Z"}


def _stats() -> Iterator[tuple[int, str, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        yield int(path.parent.name), state, int(parent)


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
