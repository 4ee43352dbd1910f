"""The evaluations that completed runs must have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.store.series import METRIC_SERIES
from bnbench.text import plural

SHOWN = 5


def check_complete(folder: Path, steps: Mapping[str, float], last: Mapping[str, float]) -> None:
    """Refuse metrics in which a completed run lacks its last evaluation: a report would count that run as a miss.

    Args:
        steps: by run_id, those of the completed runs.
        last: by run_id, the step of the last evaluation; none of a run without one.
    """
    lost = [identity for identity, done in steps.items() if identity not in last or last[identity] < done]
    if lost:
        shown = ", ".join([*lost[:SHOWN], *(["..."] if len(lost) > SHOWN else [])])
        again = f"bnbench run --name {folder.name} --from {folder / 'specs' / lost[0]}.yaml"
        what = f"it lacks evaluations of {len(lost)} of {plural(len(steps), 'completed run')} ({shown})"
        raise Damaged(
            folder / METRIC_SERIES.file, what, f"restore it from a copy, or train each of them again: {again}"
        )
