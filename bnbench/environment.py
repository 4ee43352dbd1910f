"""Facts about the program's surroundings that go on record with the results."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal


def environment() -> dict[str, Any]:
    """Versions, machine, time and git state, as plain values for sweep.yaml."""
    return {
        "time": timestamp(),
        "bnbench": version("bnbench"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "torchvision": version("torchvision"),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": cores(),
        "git_commit": git_commit(),
    }


DECISIVE = ("bnbench", "torch")
"""Packages whose versions decide what a run comes to."""


def decisive_versions() -> dict[str, str]:
    """The versions of Python and packages that all machines of a sweep must share; empty for a package that is missing.

    Of Python its first two numbers, of packages all but the name of their build.
    """
    return {"python": ".".join(platform.python_version_tuple()[:2]), **{name: _version(name) for name in DECISIVE}}


def unlike(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """What differs between two machines' :func:`decisive_versions`, a clause for each."""
    pairs = ((key, there[key], here[key]) for key in there if there[key] != here[key])
    return [f"{key} {its or 'is missing'} there, {ours} here; install the same" for key, its, ours in pairs]


def _version(name: str) -> str:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""


def timestamp(to: Literal["milliseconds", "seconds"] = "milliseconds") -> str:
    """The time in UTC, in ISO 8601, whole milliseconds or seconds."""
    return datetime.now(UTC).isoformat(timespec=to)


_IMPORTED = time.monotonic()


def age() -> float:
    """Seconds since this process began; where the system does not tell, since this module was imported."""
    try:
        fields = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - began, 0.0)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_commit() -> str:
    """The commit of the current folder, with ``-dirty`` if it has changes; empty outside git."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty", "--match="],
            capture_output=True, text=True, encoding="utf-8", timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
