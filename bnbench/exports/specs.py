"""The exact specs of runs, from which bnbench run --from trains each again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnbench.store import SingleRun
from bnbench.store.files import replacing
from bnbench.store.segment import SPECS
from bnbench.text import plural


def write_specs(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    """Write a YAML file for each run; those that have not begun have none."""
    without = 0
    for run in runs:
        path = run.folder / SPECS / f"{run.identity}.yaml"
        if path.is_file():
            with replacing(folder / path.name) as stream:
                stream.write(path.read_text(encoding="utf-8", errors="replace"))
        else:
            without += 1
    verb = "has" if without == 1 else "have"
    return [f"{plural(without, 'run')} {verb} no spec yet, as {verb} not begun"] if without else []
