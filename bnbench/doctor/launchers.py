"""The launchers, and whether what they need is there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding
from bnbench.launch import LAUNCHERS, read_settings

ASKED_FOR = ("launcher.address=", "RAY_ADDRESS=")
"""The beginnings of problems with a cluster that somebody has named; one that nobody has named need not be there."""


def launchers() -> Iterator[Finding]:
    """Each launcher with the settings that it has if none are given. No cluster is started."""
    for name, launcher in LAUNCHERS.items():
        if launcher.package is not None and find_spec(launcher.package) is None:
            remedy = f"pip install 'bnbench[{name}]' if you want it"
            yield Finding("launchers", name, ABSENT, f"{launcher.package} is not installed", remedy)
            continue
        settings = None if launcher.settings is None else read_settings(name, launcher.settings)
        problems = () if settings is None else launcher.problems(settings)
        if problems:
            state = WRONG if any(problem.startswith(ASKED_FOR) for problem in problems) else ABSENT
            yield Finding("launchers", name, state, *_halves("; ".join(problems)))
        else:
            yield Finding("launchers", name, OK, launcher.summary)


def _halves(problem: str) -> tuple[str, str]:
    """A problem and its remedy, which messages put behind a semicolon."""
    said, _, remedy = problem.partition("; ")
    return said, remedy
