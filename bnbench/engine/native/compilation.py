"""The C code beside this file, compiled once per machine for each type of numbers."""

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

HERE = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
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
def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The functions of ``train.c`` for numbers of a type; None where there is no C compiler, or it fails.

    What is compiled is kept in ``$XDG_CACHE_HOME/bnbench/native`` (``~/.cache`` without it), under the compiler's
    version, the sources and the processor. Where nothing can be kept, nothing is compiled.
    """
    path = _compiled()
    try:
        return None if path is None else _declared(ctypes.CDLL(str(path / f"{REALS[dtype]}.so")))
    except OSError:
        return None


@cache
def _compiled() -> Path | None:
    """The folder with a library for each type of numbers, compiled side by side if they are not there."""
    command = compiler()
    if command is None:
        return None
    try:
        folder = _kept(command)
        if not folder.is_dir():
            _compile(command, folder)
    except (OSError, subprocess.SubprocessError):
        return None
    return folder


def _kept(command: str) -> Path:
    """Where the libraries that a compiler makes here are kept."""
    told = subprocess.run([command, "--version"], capture_output=True, check=True, timeout=SECONDS).stdout
    digest = hashlib.sha256(repr((command, FLAGS, told, _processor())).encode())
    for source in sorted(HERE.glob("*.[ch]")):
        digest.update(source.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "bnbench" / "native" / digest.hexdigest()[:24]


def _processor() -> str:
    """What the code is compiled for: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU"))}))


def _compile(command: str, folder: Path) -> None:
    """Compile into a folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        processes = [
            subprocess.Popen(
                [command, *FLAGS, f"-DREAL={real}", str(HERE / "train.c"), "-lm", "-o", str(made / f"{real}.so")],
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
