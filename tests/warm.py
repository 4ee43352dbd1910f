"""Commands as processes of their own, which need not import torch: :func:`run` and :class:`Popen` of ``subprocess``.

Each is a copy of a process that has imported what commands need and has done nothing else (:mod:`tests.warm_program`),
with arguments, folder, variables, streams, session and signals of its own, and a child of this process. What differs:
``/proc`` shows the variables and the words of the first process, and what is imported is no news. Tests of the first
word, of encodings and of other interpreters start ``sys.executable`` itself, by ``subprocess``.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.warm_program import Command

PR_SET_CHILD_SUBREAPER = 36
ROOT = Path(__file__).parents[1]


@cache
def _program() -> socket.socket:
    """A line to the process that copies itself, started once; orphans are children of this one from then on."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    words = [sys.executable, "-m", "tests.warm_program", str(theirs.fileno())]
    with theirs, Path(os.devnull).open("r+") as nothing:
        streams = {"stdin": nothing, "stdout": nothing, "stderr": nothing}
        process = subprocess.Popen(words, cwd=ROOT, env=plain, pass_fds=[theirs.fileno()], **streams)
    process.returncode = 0  # it ends when this process does
    atexit.register(ours.close)
    return ours


class _Warm(subprocess.Popen[Any]):
    """A child that is such a copy; all but how it is started is as it is."""

    def _execute_child(
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, *rest,
    ):  # fmt: skip
        assert args[0] == sys.executable and not (pass_fds or shell or executable) and umask == -1, "it starts cold"
        variables = dict(os.environ if env is None else env)
        command = Command(list(args[1:]), os.fspath(cwd or Path.cwd()), variables, start_new_session, preexec_fn)
        streams = [end if end >= 0 else number for number, end in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            line = _program()
            socket.send_fds(line, [pickle.dumps(command)], streams)
            self.pid = int(line.recv(20))
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


Popen = _Warm if sys.platform == "linux" else subprocess.Popen


def run(
    words: list[str], *, capture_output: bool = False, timeout: float | None = None, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """See ``subprocess.run``."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    given = options.pop("input", None)
    if given is not None:
        options["stdin"] = subprocess.PIPE
    with Popen(words, **options) as process:
        try:
            out, err = process.communicate(given, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def living() -> set[int]:
    """The processes below this one that have not ended; orphans of what is started from now on are among them."""
    _program()  # what it starts later is told from what was there before
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    found, size = {os.getpid()}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {os.getpid()}
