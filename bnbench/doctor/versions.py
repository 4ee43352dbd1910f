"""The versions of Python, of bnbench, and of what it needs or can use. Needs no torch."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding

DEVELOPMENT = ("dev", "bench")
_REQUIREMENT = re.compile(r"([\w.-]+)[^;]*(?:;.*extra == ['\"](\w+)['\"])?")


def versions() -> Iterator[Finding]:
    """Python and bnbench, what it needs, then the extras."""
    yield Finding("versions", "python", OK, platform.python_version())
    yield Finding("versions", "bnbench", OK, version("bnbench"))
    for requirement in requires("bnbench") or ():
        if (match := _REQUIREMENT.match(requirement)) is not None and match[2] not in DEVELOPMENT:
            yield _finding(match[1], match[2])


def _finding(name: str, extra: str | None) -> Finding:
    try:
        return Finding("versions", name, OK, version(name))
    except PackageNotFoundError:
        if extra is None:
            return Finding("versions", name, WRONG, "is not installed", f"pip install {name}")
        return Finding("versions", name, ABSENT, "is not installed", f"pip install 'bnbench[{extra}]' if you want it")
