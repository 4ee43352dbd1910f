"""C code, compiled once per machine for each type of numbers: that in ``src/``, and translated layers."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import parent_process
from pathlib import Path

import torch

from bnbench.kept import PRIVATE, is_sealed, keep, kept_folders, kept_text, make_folder, put, seal
from bnbench.notices import notice

SOURCES = Path(__file__).parent / "src"
COMMON_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
FLAGS = (*COMMON_FLAGS, "-fno-trapping-math")
LAYER_FLAGS = (*COMMON_FLAGS, "-fopenmp-simd", "-fno-tree-loop-if-convert")
"""For translated layers, in which gcc 12 gets some conditions in loops wrong when it makes vectors of them."""
REALS = {torch.float32: "float", torch.float64: "double"}
ENTRIES, LAYER_ENTRIES = ("plan", "train"), ("ahead", "back", "room")
"""What a library must have."""
LOAD = """
import ctypes, sys
for path in sys.argv[2:]:
    for entry in sys.argv[1].split():
        getattr(ctypes.CDLL(path), entry)
"""
SECONDS = 120.0
"""Longest that a compiler may take."""
PATIENCE = 20.0
"""Seconds for what takes an instant."""
RECENT = 600.0
"""Seconds for which workers do not try again what has failed."""
ROOM = 2**24
"""Bytes that a disk must have left for compiled code."""


@cache
def c_compiler() -> str | None:
    """The C compiler: ``$CC``, or the first there is of cc, gcc and clang; None with ``BNBENCH_NATIVE=off``."""
    if os.environ.get("BNBENCH_NATIVE", "").lower() == "off":
        return None
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)


class _Failure(Exception):
    """Why a compiler made no library, as the end of a sentence that begins with the compiler."""


@cache
def library(dtype: torch.dtype, source: str | None = None) -> ctypes.CDLL | None:
    """The functions of ``train.c``, or of a source, for numbers of a type; None without a C compiler, or if it fails.

    What is compiled is kept in ``$XDG_CACHE_HOME/bnbench/native`` (``~/.cache`` without it), under the compiler's
    version, the sources and the processor, or where that cannot be, in a private folder for temporary files. It is
    loaded only if nobody else can have written it and it is as the compiler left it.
    """
    path = _compiled(source)
    try:
        loaded = None if path is None else ctypes.CDLL(str(path / f"{REALS[dtype]}.so"))
    except OSError:
        return None
    return _declared(loaded) if loaded is not None and source is None else loaded


@cache
def _compiled(source: str | None) -> Path | None:
    """The folder with a library for each type of numbers, compiled side by side if they are not there.

    A worker does not try again what has failed a short while ago: the program that it works for has.
    """
    command, places = c_compiler(), kept_folders("native")
    if command is None or not places:
        return None
    failures = [place / f"{_hash(command, _flags(source), source)}.failed" for place in places]
    try:
        if parent_process() is not None and (known := next(filter(None, map(_recent, failures)), None)):
            raise _Failure(known)
        found = _found_or_compiled(command, source, places)
    except (OSError, _Failure) as error:
        reason = str(error) if isinstance(error, _Failure) else f"cannot be used: {error}"
        for failure in failures:
            keep(failure, reason)
        notice(f"the C compiler {command} {reason}; torch trains instead")
        return None
    for failure in failures:
        with contextlib.suppress(OSError):
            failure.unlink()
    return found


def _recent(failure: Path) -> str | None:
    """Why a compiler failed a short while ago, if it did."""
    try:
        seconds = time.time() - failure.stat().st_mtime
    except OSError:
        return None
    return kept_text(failure) if abs(seconds) < RECENT else None


def _found_or_compiled(command: str, source: str | None, places: Sequence[Path]) -> Path:
    """A folder of libraries in one of some places.

    Raises:
        OSError: in none of them can anything be written.
        _Failure: the compiler makes no libraries.
    """
    folders = [place / _key(command, source) for place in places]
    if found := next(filter(is_sealed, folders), None):
        return found
    if any(map(os.path.lexists, folders)):
        notice(f"compiled code in {places[0]} is not as it was written; it is compiled anew")
    problems = []
    for folder in folders:
        try:
            make_folder(folder.parent)
            if shutil.disk_usage(folder.parent).free < ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _compile(command, source, folder)
        except OSError as error:
            problems.append(error)
            continue
        if problems:
            reason = problems[0].strerror or problems[0]
            notice(f"nothing can be kept in {places[0]} ({reason}); {folder.parent} is used instead")
        return folder
    raise problems[-1]


def _key(command: str, source: str | None) -> str:
    """Under what the libraries that a compiler makes here are kept."""
    own = sorted(SOURCES.glob("*.[ch]")) if source is None else ()
    return _hash(command, _flags(source), _version(command), _processor(), source, [path.read_bytes() for path in own])


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _flags(source: str | None) -> tuple[str, ...]:
    return FLAGS if source is None else LAYER_FLAGS


@cache
def _version(command: str) -> bytes:
    """What a compiler says of itself. Raises :class:`_Failure`."""
    try:
        return subprocess.run([command, "--version"], capture_output=True, check=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise _Failure(f"does not say its version ({' '.join(str(error).split())})") from error


@cache
def _processor() -> str:
    """What the code is compiled for: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU"))}))


def _compile(command: str, source: str | None, folder: Path) -> None:
    """Compile into a folder, whole or not at all.

    Raises:
        OSError: nothing can be written there.
        _Failure: the compiler makes no libraries.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir(PRIVATE)
        code = SOURCES / "train.c" if source is None else made / "layer.c"
        if source is not None:
            code.write_text(source, encoding="utf-8")
        libraries = {real: made / f"{real}.so" for real in REALS.values()}
        commands = {
            real: [command, *_flags(source), f"-DREAL={real}", str(code), "-lm", "-o", str(path)]
            for real, path in libraries.items()
        }
        _run(commands, Path(scratch))
        _try_to_load(list(libraries.values()), ENTRIES if source is None else LAYER_ENTRIES)
        seal(made)
        if not is_sealed(folder):  # else another process was quicker
            put(made, folder)


def _run(commands: Mapping[str, Sequence[str]], scratch: Path) -> None:
    """Run compilers side by side, which keep their temporary files in a folder. Raises :class:`_Failure`."""
    deadline, processes = time.monotonic() + SECONDS, []
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C"}
    try:
        for name, words in commands.items():
            with (scratch / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
                    )
                )
        for name, process in zip(commands, processes, strict=True):
            if process.wait(max(0.0, deadline - time.monotonic())) != 0:
                raise _Failure(f"fails: {_complaint(scratch / f'{name}.log', process.returncode)}")
    except subprocess.TimeoutExpired:
        raise _Failure(f"takes more than {SECONDS:g} s") from None
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):  # what has ended stays as it is
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _complaint(log: Path, code: int) -> str:
    """The first error among what a compiler has said."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line] or lines
    return errors[0].strip() if errors else f"exit code {code}"


def _try_to_load(libraries: Sequence[Path], entries: Sequence[str]) -> None:
    """Load libraries in another process, which a broken one may end. Raises :class:`_Failure`."""
    words = [sys.executable, "-I", "-S", "-c", LOAD, " ".join(entries), *map(str, libraries)]
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise _Failure(f"makes what cannot be loaded within {PATIENCE:g} s") from None
    if done.returncode != 0:
        raise _Failure("makes nothing that can be loaded")


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    loaded.plan.argtypes, loaded.plan.restype = [ctypes.c_void_p], ctypes.c_int64
    loaded.train.argtypes, loaded.train.restype = [ctypes.c_void_p], None
    return loaded
