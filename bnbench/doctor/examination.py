"""All that is looked at, the quick things first: torch is loaded only when its turn has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bnbench.doctor.finding import WRONG, Finding
from bnbench.doctor.folders import data_sets, folders
from bnbench.doctor.launchers import launchers
from bnbench.doctor.machine import compiler, devices, memory
from bnbench.doctor.self_test import engines
from bnbench.doctor.versions import versions
from bnbench.errors import described


def findings(results: Path, data: Path) -> Iterator[Finding]:
    """Look at everything; what fails unexpectedly is a finding, too.

    Args:
        results: the folder of the sweeps.
        data: the folder of the datasets.
    """
    parts: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": versions,
        "memory": memory,
        "folders": lambda: folders(results),
        "data": lambda: data_sets(data),
        "launchers": launchers,
        "devices": devices,
        "compiler": compiler,
        "engines": engines,
    }
    for name, look in parts.items():
        try:
            yield from look()
        except Exception as error:  # a broken installation can raise anything
            yield Finding(name, name, WRONG, described(error), "install bnbench anew: pip install --force-reinstall .")
