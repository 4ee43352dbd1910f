"""Memory that is free on this machine, and the part of it that arrays of a dataset may take. Needs no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bnbench.errors import InvalidRequest

VARIABLE = "BNBENCH_DATA_MEMORY"
SHARE = 0.25
"""Of the free memory, if nobody says otherwise: several processes may load the same data."""
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(?:I?B)?", re.IGNORECASE)
_VERSIONS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Names of the limit of a control group, of what it has taken, and of the part of this that it would give back."""


def data_memory() -> int:
    """Bytes that the arrays of a dataset may take in memory: ``$BNBENCH_DATA_MEMORY``, or a quarter of what is free.

    Raises:
        InvalidRequest: the variable is no size.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return int(SHARE * free_memory())
    size = _SIZE.fullmatch(text)
    count = int(float(size[1]) * _UNITS[size[2].upper()]) if size else 0
    if count < 1:
        raise InvalidRequest([f"{VARIABLE}={text:.80}: must be a size above zero with its unit, such as 500MB or 2GB"])
    return count


def free_memory() -> int:
    """Bytes that this process and others may still take: of the machine, and of each control group it is in."""
    return max(0, min([_free_of_machine(), *_free_of_groups()]))


def _free_of_machine() -> int:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_of_groups() -> Iterator[int]:
    for folder in _groups():
        for limit, taken, spare in _VERSIONS:
            with suppress(OSError, ValueError, KeyError):  # a group without a limit says "max"
                lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
                given_back = int(dict(line.split() for line in lines)[spare])
                most, used = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, taken))
                yield most - used + given_back


def _groups() -> Iterator[Path]:
    """The folders of the control groups that limit this process, up to the outermost one."""
    root = Path("/sys/fs/cgroup")
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, inner = line.split(":", 2)
            if not controllers or "memory" in controllers.split(","):
                top = root / "memory" if controllers else root
                folder = top / inner.lstrip("/")
                yield from (place for place in (folder, *folder.parents) if place.is_relative_to(top))
