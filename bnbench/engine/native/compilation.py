"""C code, compiled once per machine for each type of numbers: that beside this file, and translated layers."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from bnbench.kept import kept_folder

HERE = Path(__file__).parent
COMMON_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
FLAGS = (*COMMON_FLAGS, "-fno-trapping-math")
LAYER_FLAGS = (*COMMON_FLAGS, "-fopenmp-simd", "-fno-tree-loop-if-convert")
"""For translated layers, in which gcc 12 gets some conditions in loops wrong when it makes vectors of them."""
REALS = {torch.float32: "float", torch.float64: "double"}
SECONDS = 120.0
"""Longest that a compiler may take."""


@cache
def compiler() -> str | None:
    """The C compiler: ``$CC``, or the first there is of cc, gcc and clang; None with ``BNBENCH_NATIVE=off``."""
    if os.environ.get("BNBENCH_NATIVE", "").lower() == "off":
        return None
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)


@cache
def library(dtype: torch.dtype, source: str | None = None) -> ctypes.CDLL | None:
    """The functions of ``train.c``, or of a source, for numbers of a type; None without a C compiler, or if it fails.

    What is compiled is kept in ``$XDG_CACHE_HOME/bnbench/native`` (``~/.cache`` without it), under the compiler's
    version, the sources and the processor. Where nothing can be kept, nothing is compiled.
    """
    path = _compiled(source)
    try:
        loaded = None if path is None else ctypes.CDLL(str(path / f"{REALS[dtype]}.so"))
    except OSError:
        return None
    return _declared(loaded) if loaded is not None and source is None else loaded


@cache
def _compiled(source: str | None) -> Path | None:
    """The folder with a library for each type of numbers, compiled side by side if they are not there."""
    command, cache = compiler(), kept_folder("native")
    if command is None or cache is None:
        return None
    try:
        folder = cache / _key(command, source)
        if not folder.is_dir():
            _compile(command, source, folder)
    except (OSError, subprocess.SubprocessError):
        return None
    return folder


def _key(command: str, source: str | None) -> str:
    """Under what the libraries that a compiler makes here are kept."""
    digest = hashlib.sha256(repr((command, _flags(source), _version(command), _processor(), source)).encode())
    for path in sorted(HERE.glob("*.[ch]")) if source is None else ():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _flags(source: str | None) -> tuple[str, ...]:
    return FLAGS if source is None else LAYER_FLAGS


@cache
def _version(command: str) -> bytes:
    return subprocess.run([command, "--version"], capture_output=True, check=True, timeout=SECONDS).stdout


@cache
def _processor() -> str:
    """What the code is compiled for: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU"))}))


def _compile(command: str, source: str | None, folder: Path) -> None:
    """Compile into a folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        code = HERE / "train.c" if source is None else made / "layer.c"
        if source is not None:
            code.write_text(source, encoding="utf-8")
        processes = [
            subprocess.Popen(
                [command, *_flags(source), f"-DREAL={real}", str(code), "-lm", "-o", str(made / f"{real}.so")],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for real in REALS.values()
        ]
        try:
            codes = [process.wait(SECONDS) for process in processes]
        finally:
            for process in processes:
                process.kill()  # what has ended stays as it is
        if any(codes):
            raise subprocess.CalledProcessError(max(codes), command)
        with contextlib.suppress(OSError):  # another process was quicker
            made.replace(folder)


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    loaded.plan.argtypes, loaded.plan.restype = [ctypes.c_void_p], ctypes.c_int64
    loaded.train.argtypes, loaded.train.restype = [ctypes.c_void_p], None
    return loaded
