"""bnbench show: all that is known of one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bnbench.cli.options import RunId
from bnbench.cli.settings import Settings
from bnbench.cli.tables import not_read, table_of
from bnbench.console import echo
from bnbench.errors import SHOWN, Damaged, InvalidRequest
from bnbench.text import plural

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


@dataclass(frozen=True)
class _Entry:
    """A run in one of the sweeps.

    Attributes:
        folder: of the sweep.
        row: of the run in runs.csv.
        metrics: its evaluations.
        readings: of its probes.
    """

    folder: Path
    row: pd.Series
    metrics: pd.DataFrame
    readings: pd.DataFrame

    @property
    def identity(self) -> str:
        return str(self.row["run_id"])

    @property
    def status(self) -> str:
        return str(self.row["status"])


def show(
    context: typer.Context,
    run: RunId,
) -> None:
    """Show everything that is known of one run."""
    from bnbench import store
    from bnbench.console import plain_console
    from bnbench.text import listing

    settings: Settings = context.obj
    if not run:
        raise InvalidRequest(["run '': must be a run id, or the beginning of one"])
    entries, damaged = _entries(settings.results, run)
    _check_one(settings.results, run, entries, damaged)
    best = max(entries, key=lambda entry: store.rank(entry.status))
    console = plain_console(whole=True)
    if len(entries) > 1:
        every = listing([f"{entry.folder.name} ({entry.status})" for entry in entries])
        sweeps = plural(len(entries), "sweep")
        console.print(f"{best.identity} is in {sweeps}: {every}; shown is that of {best.folder.name}")
    _print(best, console)
    if best.status in store.FAILURES:
        from bnbench.cli.failure import failure

        console.print()
        for line in failure(settings, best.folder, best.row):
            console.print(line)
    for text in damaged:
        echo(text, error=True)
    raise typer.Exit(1 if damaged else 0)


def _entries(results: Path, beginning: str) -> tuple[list[_Entry], list[str]]:
    """The runs whose ids have a beginning, in all sweeps; a line for each folder that cannot be looked into."""
    from bnbench import store

    entries, damaged = list[_Entry](), []
    for folder in store.sweep_folders(results):
        try:
            if any(identity.startswith(beginning) for identity in store.statuses(folder)):
                runs, metrics = store.load_sweeps([folder])
                probes = store.load_probes(folder)
                for _, row in runs[runs["run_id"].str.startswith(beginning)].drop(columns="sweep").iterrows():
                    its = (table[table["run_id"] == row["run_id"]] for table in (metrics, probes))
                    entries.append(_Entry(folder, row, *its))
        except (Damaged, OSError) as error:
            damaged.append(f"not looked into: {folder}: {not_read(error)}")
    return entries, damaged


def _check_one(results: Path, beginning: str, entries: list[_Entry], damaged: list[str]) -> None:
    """Refuse the beginning of no run's id, or of several.

    Raises:
        InvalidRequest: it is one.
    """
    from bnbench import store

    identities = list(dict.fromkeys(entry.identity for entry in entries))
    if not identities:
        others = [f"not looked into: {folder}: {why}" for folder, why in store.foreign_folders(results).items()]
        raise InvalidRequest([f"no run starts with {beginning!r} in {results}", *damaged, *others])
    if len(identities) > 1:
        first = ", ".join(identities[:SHOWN])
        few = first if len(identities) <= SHOWN else f"one of {len(identities)} runs, {first}, ..."
        raise InvalidRequest([f"run {beginning!r}: could be {few}; give more of it"])


def _print(entry: _Entry, console: Console) -> None:
    """Print the row of a run, its evaluations, and the number of its probes' readings."""
    import pandas as pd

    table = table_of("sweep", entry.folder.name)
    for name, value in entry.row.items():
        if not pd.isna(value):
            table.add_row(str(name), f"{value:g}" if isinstance(value, float) else str(value))
    console.print(table)
    console.print()
    metrics = entry.metrics.drop(columns="run_id")
    console.print(metrics.to_string(index=False) if len(metrics) else "no evaluations")
    if len(entry.readings):
        counts = entry.readings.groupby("probe", sort=False).agg(steps=("step", "nunique"), values=("value", "size"))
        console.print()
        console.print(counts.reset_index().to_string(index=False))
        folder = entry.folder
        console.print(f"the values are in {folder / 'probes.csv'}, or bnbench.load_probes({folder.name!r})")
