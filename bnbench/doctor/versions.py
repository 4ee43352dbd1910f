"""The versions of Python, of bnbench, and of what it needs or can use. Needs no torch."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding

DEVELOPMENT = ("dev", "bench")


def versions() -> Iterator[Finding]:
    """Python and bnbench, what it needs, then the extras."""
    yield Finding("versions", "python", OK, platform.python_version())
    yield Finding("versions", "bnbench", OK, version("bnbench"))
    for requirement in map(Requirement, requires("bnbench") or ()):
        extra = _extra(requirement)
        if extra not in DEVELOPMENT:
            yield _finding(requirement, extra)


def _extra(requirement: Requirement) -> str:
    """The extra to which a requirement belongs; empty if it always holds."""
    marker = str(requirement.marker or "")
    return marker.partition("extra == ")[2].split('"')[1] if "extra == " in marker else ""


def _finding(requirement: Requirement, extra: str) -> Finding:
    name, bounds = requirement.name, requirement.specifier
    package = f"bnbench[{extra}]" if extra else f"{name}{bounds}"
    remedy = f"pip install '{package}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        if extra:
            return Finding("versions", name, ABSENT, "is not installed", f"{remedy} if you want it")
        return Finding("versions", name, WRONG, "is not installed", remedy)
    if not bounds.contains(there, prereleases=True):
        return Finding("versions", name, WRONG, f"{there}; bnbench needs {bounds}", remedy)
    return Finding("versions", name, OK, there)
