"""The values of runs as trackers want them: settings, numbers by step, and times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bnbench.errors import InvalidRequest
from bnbench.filters import SETTINGS, number
from bnbench.store import SingleRun
from bnbench.store.columns import RUN_TYPES
from bnbench.store.results import RESULT


def settings(run: SingleRun) -> dict[str, float | str]:
    """The settings of a run that has them, numbers as numbers."""
    cells = {name: cell for name, cell in run.row.items() if cell and name.partition(".")[0] in SETTINGS}
    return {name: value(name, cell) for name, cell in cells.items()}


def results(run: SingleRun) -> dict[str, float]:
    """The numbers of a run's result."""
    numbers = {name: number(run.row.get(name, "")) for name in RESULT}
    return {name: found for name, found in numbers.items() if found is not None}


def value(name: str, cell: str) -> float | str:
    """A cell as a number, if its column may hold some."""
    found = number(cell) if RUN_TYPES.get(name) != "str" else None
    return cell if found is None else found


def points(run: SingleRun) -> Iterator[tuple[int, dict[str, float]]]:
    """The numbers of each evaluation, then those that probes found, by step."""
    for row in run.metrics:
        numbers = {name: number(cell) for name, cell in row.items() if name not in ("run_id", "step")}
        yield int(row["step"]), {name: found for name, found in numbers.items() if found is not None}
    for row in run.readings:
        found = number(row["value"])
        if found is not None:
            name = "/".join(part for part in (row["probe"], row["layer"], row["name"]) if part)
            yield int(row["step"]), {name: found}


def seconds(time: str) -> float | None:
    """A time of a table in seconds since the epoch; None for none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def missing(extra: str, error: ImportError) -> InvalidRequest:
    """The error of a library that is not there, with the extra that has it."""
    remedy = f"install it with: pip install 'bnbench[{extra}]'"
    library = (error.name or extra).partition(".")[0]
    return InvalidRequest([f"--to {extra}: needs {library}, which is not installed; {remedy}"])
