"""Builds the null CUDA runtime, and starts programs with it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@cache
def missing() -> str:
    """Why there is no null runtime on this machine; empty if there is one."""
    if sys.platform != "linux" or not torch.backends.cuda.is_built():
        return "torch has no CUDA build"
    if not (shutil.which("g++") and shutil.which("gcc")):
        return "there is no compiler"
    return "" if len(_headers()) == 2 else "the headers of CUDA are not installed with torch"


def _headers() -> list[Path]:
    """Folders of the runtime's headers, which torch's packages have, and of the driver's, which triton has."""
    places = {"nvidia": "**/cuda_runtime_api.h", "triton": "backends/nvidia/include/cuda.h"}
    found: list[Path] = []
    for package, pattern in places.items():
        spec = importlib.util.find_spec(package)
        folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
        found += [path.parent for folder in folders for path in folder.glob(pattern)][:1]
    return found


def build(folder: Path) -> NullCuda:
    """Compile the runtime into a folder; it is made whole or not at all, for the processes that wait for it."""
    if not folder.exists():
        temporary = folder.with_name(f"{folder.name}-{os.getpid()}")
        temporary.mkdir(parents=True)
        includes = [f"-I{path}" for path in _headers()]
        shared = ["-O1", "-shared", "-fPIC"]
        sources = sorted(map(str, HERE.glob("*.cpp")))
        runtime, driver = temporary / "libnullcuda.so", temporary / "libcuda.so.1"
        subprocess.run(["g++", "-std=c++17", *shared, *includes, *sources, "-o", str(runtime), "-ldl"], check=True)
        named = "-Wl,-soname,libcuda.so.1"
        subprocess.run(["gcc", "-w", *shared, named, str(HERE / "driver.c"), "-o", str(driver)], check=True)
        try:
            temporary.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(temporary)
    return NullCuda(folder)


@dataclass(frozen=True)
class NullCuda:
    """The runtime where it was built; starts programs under it."""

    folder: Path

    def run(self, *words: str, cwd: Path = ROOT, **settings: int) -> subprocess.CompletedProcess[str]:
        """A Python program, by the words after ``python``.

        Args:
            settings: ``devices``; ``memory`` of each in bytes; ``taken`` of it by others; ``capture_memory`` from which
                nothing more is allocated in a capture; ``assert_after`` so many launches of a process.
        """
        kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        ours = {
            "LD_PRELOAD": str(self.folder / "libnullcuda.so"),
            "LD_LIBRARY_PATH": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        named = {f"NULL_CUDA_{name.upper()}": str(value) for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, *words], cwd=cwd, env={**kept, **ours, **named},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    def ask(self, program: str, *words: str, **settings: int) -> Any:
        """What one of the functions of ``programs.py`` returns."""
        done = self.run("-m", "tests.null_cuda.programs", program, *words, **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
