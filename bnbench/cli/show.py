"""bnbench show: all that is known of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bnbench.cli.options import RunId
from bnbench.cli.settings import Settings
from bnbench.cli.tables import table_of
from bnbench.console import echo
from bnbench.errors import Damaged
from bnbench.text import general, plural

if TYPE_CHECKING:
    from rich.console import Console

    from bnbench.store import SingleRun

CURVES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
MOST_EVALUATIONS = 40


def show(
    context: typer.Context,
    run: RunId,
) -> None:
    """Show everything that is known of one run: its settings, how it went, and how it ended.

    Example:
    bnbench show small/r4618
    """
    from bnbench.console import plain_console
    from bnbench.store import FAILURES
    from bnbench.text import listing

    settings: Settings = context.obj
    runs, damaged = _runs(settings, run)
    best = runs[0]
    console = plain_console(whole=True)
    if len(runs) > 1:
        every = listing(sorted(f"{one.folder.name} ({one.status})" for one in runs))
        sweeps = plural(len(runs), "sweep")
        console.print(f"{best.identity} is in {sweeps}: {every}; shown is that of {best.folder.name}")
    _print_row(best, console)
    _print_evaluations(best, console)
    _print_readings(best, console)
    if best.status in FAILURES:
        from bnbench.cli.failure import failure

        console.print()
        for line in failure(settings, best):
            console.print(line)
    for text in damaged:
        echo(text, error=True)
    raise typer.Exit(1 if damaged else 0)


def _runs(settings: Settings, word: str) -> tuple[list[SingleRun], list[str]]:
    """A run in all sweeps that have it, that which counts first; a line for each folder that cannot be looked into.

    Raises:
        InvalidRequest: the word names no run, or several.
    """
    from bnbench import store
    from bnbench.cli.references import no_run, run_places
    from bnbench.cli.tables import not_read

    damaged: list[str] = []
    runs: list[SingleRun] = []
    for place in run_places(settings, word, damaged):
        try:
            runs += store.load_single_runs(place.folder, [place.identity])
        except (Damaged, OSError) as error:
            damaged.append(f"not looked into: {place.folder}: {not_read(error)}")
    if not runs:
        raise no_run(settings, word, damaged)
    return sorted(runs, key=lambda run: -store.rank(run.status)), damaged


def _print_row(run: SingleRun, console: Console) -> None:
    """Print the row of a run."""
    table = table_of("sweep", run.folder.name)
    for name, cell in run.row.items():
        if cell:
            table.add_row(name, _short(name, cell))
    if run.tags:
        table.add_row("tags", ", ".join(run.tags))
    console.print(table)
    console.print()


def _print_evaluations(run: SingleRun, console: Console) -> None:
    """Print the curves of a run, and its evaluations, of very many the last ones."""
    from bnbench.cli.curves import curve
    from bnbench.filters import number

    if not run.metrics:
        console.print("no evaluations")
        return
    if len(run.metrics) > 1:
        table = table_of("", "")
        table.show_header = False
        for name in CURVES:
            if values := [value for row in run.metrics if (value := number(row[name])) is not None]:
                table.add_row(name, curve(values))
        console.print(table)
        console.print()
    names = [name for name in run.metrics[0] if name != "run_id"]
    table = table_of(*names)
    for column in table.columns:
        column.justify = "right"
    for row in run.metrics[-MOST_EVALUATIONS:]:
        table.add_row(*(_short(name, row[name]) for name in names))
    console.print(table)
    if (more := len(run.metrics) - MOST_EVALUATIONS) > 0:
        console.print(f"and {plural(more, 'evaluation')} before; all are in {run.folder / 'metrics.csv'}")


def _print_readings(run: SingleRun, console: Console) -> None:
    """Print how often each probe of a run measured, and how many numbers."""
    if not run.readings:
        return
    table = table_of("probe", "steps", "values")
    table.pad_edge = False
    for column in table.columns[1:]:
        column.justify = "right"
    for probe in dict.fromkeys(row["probe"] for row in run.readings):
        steps = [row["step"] for row in run.readings if row["probe"] == probe]
        table.add_row(probe, str(len(set(steps))), str(len(steps)))
    console.print()
    console.print(table)
    folder = run.folder
    console.print(f"the values are in {folder / 'probes.csv'}, or bnbench.load_probes({folder.name!r})")


def _short(name: str, cell: str) -> str:
    """A cell, numbers with six digits."""
    from bnbench.filters import number
    from bnbench.store.columns import RUN_TYPES

    value = number(cell) if RUN_TYPES.get(name) != "str" else None
    return cell if value is None else general(value)
