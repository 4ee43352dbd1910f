"""C code, compiled once per machine for each type of numbers: that in ``src/``, and translated layers."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import torch

from bnbench.native.compilation import SOURCES, Failure, asked_version, compile_into, flags
from bnbench.native.structures import require_same_layout
from bnbench.notices import notice
from bnbench.user_cache import is_sealed, kept_folders, make_folder

REALS = {torch.float32: "float", torch.float64: "double"}
HASTE = 3.0
"""Seconds for which training waits for a compiler's version, which takes an instant."""
ROOM = 2**24
"""Bytes that a disk must have left for compiled code."""


@cache
def c_compiler() -> str | None:
    """The C compiler: ``$CC``, or the first there is of cc, gcc and clang; None with ``BNBENCH_NATIVE=off``."""
    if os.environ.get("BNBENCH_NATIVE", "").lower() == "off":
        return None
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)


_compiles: ContextVar[bool] = ContextVar("compiles", default=True)


@contextlib.contextmanager
def only_loaded() -> Iterator[None]:
    """Start no compiler in a block, which takes seconds: code is there by then, or torch trains."""
    token = _compiles.set(False)
    try:
        yield
    finally:
        _compiles.reset(token)


def may_compile() -> bool:
    """True outside of :func:`only_loaded`."""
    return _compiles.get()


def library(dtype: torch.dtype, source: str | None = None) -> ctypes.CDLL | None:
    """The functions of ``src/``, or of a source, for numbers of a type; None without a C compiler, or if it fails.

    Within :func:`only_loaded` there are none either as long as nobody has compiled them.

    ``src/`` is compiled for all types side by side, as a proof needs float64; a source for the one that is asked for.

    What is compiled is kept in ``$XDG_CACHE_HOME/bnbench/native`` (``~/.cache`` without it), under the compiler's
    version, the sources and the processor, or where that cannot be, in a private folder for temporary files. It is
    loaded only if nobody else can have written it and it is as the compiler left it.
    """
    if (dtype, source) not in _loaded:
        reals = tuple(REALS.values()) if source is None else (REALS[dtype],)
        folder = _compiled(source, reals) if may_compile() else _found(source, reals)
        if folder is None and not may_compile():  # which may be otherwise soon
            return None
        _loaded.update({(of, source): None for of, real in REALS.items() if folder is None and real in reals})
        if folder is not None:
            _loaded[dtype, source] = _opened(folder / f"{REALS[dtype]}.so", source)
    return _loaded[dtype, source]


_loaded: dict[tuple[torch.dtype, str | None], ctypes.CDLL | None] = {}
"""Libraries of this process, by type of numbers and source; None where they were compiled in vain."""


def _opened(path: Path, source: str | None) -> ctypes.CDLL | None:
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError:
        return None
    return _declared(loaded) if source is None else loaded


def can_compile() -> bool:
    """True if there is a compiler, whether it works or not, and a place for what it makes."""
    return c_compiler() is not None and bool(kept_folders("native"))


def _found(source: str | None, reals: Sequence[str]) -> Path | None:
    """The folder of libraries that are there; a compiler is asked for its version at most, and not for long."""
    command, places = c_compiler(), kept_folders("native")
    if command is None or not any(map(Path.is_dir, places)) or _quick_version(command) is None:
        return None
    key = _key(command, source, reals)
    return next((place / key for place in places if is_sealed(place / key)), None)


def _compiled(source: str | None, reals: tuple[str, ...]) -> Path | None:
    """The folder with a library for each of some types of numbers, compiled side by side if they are not there."""
    command, places = c_compiler(), kept_folders("native")
    if command is None or not places:
        return None
    try:
        return _found_or_compiled(command, source, reals, places)
    except (OSError, Failure) as error:
        reason = str(error) if isinstance(error, Failure) else f"cannot be used: {error}"
        notice(f"the C compiler {command} {reason}; torch trains instead")
        return None


def _found_or_compiled(command: str, source: str | None, reals: Sequence[str], places: Sequence[Path]) -> Path:
    """A folder of libraries in one of some places.

    Raises:
        OSError: in none of them can anything be written.
        Failure: the compiler makes no libraries.
    """
    folders = [place / _key(command, source, reals) for place in places]
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
            compile_into(command, source, reals, folder)
        except OSError as error:
            problems.append(error)
            continue
        if problems:
            reason = problems[0].strerror or problems[0]
            notice(f"nothing can be kept in {places[0]} ({reason}); {folder.parent} is used instead")
        return folder
    raise problems[-1]


def _key(command: str, source: str | None, reals: Sequence[str]) -> str:
    """The name of the folder for the libraries that a compiler makes here."""
    files = sorted(SOURCES.glob("*.[ch]")) if source is None else ()
    contents = [(path.name, path.read_bytes()) for path in files]
    return _hash(command, flags(source), _version(command), _processor(), source, contents, tuple(reals))


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


@cache
def _version(command: str) -> bytes:
    """A compiler's own words on its version. Raises :class:`Failure`."""
    if (known := _quick_version(command)) is not None:
        return known
    return asked_version(command)


@cache
def _quick_version(command: str) -> bytes | None:
    """A compiler's own words on its version; None if it does not find them at once."""
    try:
        return asked_version(command, HASTE)
    except Failure:
        return None


@cache
def _processor() -> str:
    """The processor that code is compiled for: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU"))}))


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    loaded.plan.argtypes, loaded.plan.restype = [ctypes.c_void_p], ctypes.c_int64
    for function in (loaded.train, loaded.predict):
        function.argtypes, function.restype = [ctypes.c_void_p], None
    require_same_layout(loaded)
    return loaded
