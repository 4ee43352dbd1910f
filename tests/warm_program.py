"""The process that commands of :mod:`tests.warm` are copies of: it has imported what they need, and done nothing."""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import os
import pickle
import runpy
import signal
import socket
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

MODULES = (
    "torch", "torch._dynamo", "hydra", "pandas", "scipy.stats", "bnbench.api", "bnbench.cli.app", "bnbench.worker",
    "bnbench.plugins", "bnbench.plan.feasibility", "bnbench.plan.estimate",
)  # fmt: skip
LARGEST = 2**17
"""Bytes of a message."""
MOST = 16
"""Descriptors of a message."""
ASIDE = 500
"""A descriptor above those that a program has."""


@dataclass(frozen=True)
class Command:
    """A Python program to become.

    Attributes:
        words: those behind ``python``: ``-m MODULE``, ``-c CODE``, ``-uc CODE`` or a file, and arguments.
        leads: a session of its own.
        before: is called first, as by ``subprocess.Popen(preexec_fn=...)``.
    """

    words: list[str]
    folder: str
    environment: dict[str, str]
    leads: bool
    before: Callable[[], object] | None


def serve(line: socket.socket) -> Command:
    """Make a copy of this process for each command; returns in the copy. The pid goes back to who asked.

    The copy is a child of nobody here: it goes to the next process above that takes in orphans.
    """
    while True:
        message, streams, _, _ = socket.recv_fds(line, LARGEST, MOST)
        if not message:
            os._exit(0)
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child:
                os.write(tells, str(child).encode())
                os._exit(0)
            for descriptor in (told, tells):
                os.close(descriptor)
            line.close()
            _take_streams(streams)
            return pickle.loads(message)
        os.waitpid(between, 0)
        for descriptor in (tells, *streams):
            os.close(descriptor)
        line.send(os.read(told, 20))
        os.close(told)


def _take_streams(streams: list[int]) -> None:
    """Have these as standard input, output and error."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)


def become(command: Command) -> None:
    """Run a command as the interpreter would."""
    if command.leads:
        os.setsid()
    if command.before is not None:
        command.before()
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    tempfile.tempdir = None
    for name in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
        assert name == "ignore", "other warnings are for a cold program"
        sys.warnoptions.append(name)
        warnings.simplefilter("ignore")
    _keep_fork_server_at_hand()
    option, *rest = command.words
    _open_streams(option == "-uc")
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(Path.cwd()) if option == "-m" else "", *filter(None, path)]
    if option == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif option in ("-c", "-uc"):
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = command.words
        runpy.run_path(option, run_name="__main__")


def _open_streams(unbuffered: bool) -> None:
    """Standard streams as of a new interpreter in this place, by the same encoding."""
    text: dict[str, Any] = {"encoding": "utf-8", "closefd": False}
    sys.stdin = sys.__stdin__ = open(0, errors="strict", **text)  # type: ignore[misc]
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        stream = open(number, "w", errors=errors, **text)  # noqa: PTH123
        stream.reconfigure(line_buffering=number == 2 or os.isatty(number), write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _keep_fork_server_at_hand() -> None:
    """Fork what becomes multiprocessing's fork server when it is asked for, instead of an interpreter that imports.

    It is a child of the command, as the other one would be, and ends with it if it is not asked for.
    """
    line, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.fork()
    if server == 0:
        line.close()
        _be_fork_server(there)
    there.close()
    util.spawnv_passfds = partial(_spawn, util.spawnv_passfds, line, server)  # type: ignore[attr-defined]


def _spawn(
    spawn: Callable[..., int], line: socket.socket, server: int, path: bytes, arguments: list[str], passed: list[int]
) -> int:
    """What ``multiprocessing.util.spawnv_passfds`` does, by the server that waits."""
    code = arguments[-1]
    if os.fsdecode(path) != sys.executable or "multiprocessing.forkserver" not in code or line.fileno() < 0:
        return spawn(path, arguments, passed)
    socket.send_fds(line, [pickle.dumps((code, list(passed)))], list(passed))
    line.close()
    return server


def _be_fork_server(line: socket.socket) -> NoReturn:
    """Wait for the code of a fork server and its descriptors, and run it as a new interpreter would."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as the command has it where it starts one
    message, received, _, _ = socket.recv_fds(line, LARGEST, MOST)
    line.close()
    if not message:
        os._exit(0)
    code, numbers = pickle.loads(message)
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, ASIDE) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = ["-c"]
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(code, main.__dict__)
    sys.exit()


def _run_to_the_end(command: Command) -> NoReturn:
    """Run a command and end as an interpreter does, but for taking apart what it has imported, which takes a second."""
    code: object = 0
    try:
        become(command)
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except Exception as error:
        os.write(2, f"Exception ignored: {error!r}\n".encode())
        code = 120
    os._exit(code)


if __name__ == "__main__":
    asked = socket.socket(fileno=int(sys.argv[1]))
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()  # else each copy would look through all that was imported, and take pages of its own for it
    _run_to_the_end(serve(asked))
