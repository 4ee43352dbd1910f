"""bnbench diff: two runs, or two sweeps, by what they do not share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnbench.cli.options import completed_runs_and_sweeps
from bnbench.cli.settings import Settings
from bnbench.cli.tables import table_of
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import general, plural

if TYPE_CHECKING:
    from bnbench.cli.references import RunPlace

Row = Mapping[str, str]

MOST = 20
"""Runs that are listed one by one."""

Compared = Annotated[
    str,
    typer.Argument(metavar="RUN|SWEEP", autocompletion=completed_runs_and_sweeps, help="Two runs, or two sweeps."),
]


def diff(context: typer.Context, first: Compared, second: Compared) -> None:
    """Compare two runs, setting by setting, or two sweeps, run by run.

    Example:
    bnbench diff small more
    """
    from bnbench.cli.references import RunPlace, reference

    settings: Settings = context.obj
    one, other = reference(settings, first), reference(settings, second)
    if isinstance(one, RunPlace) and isinstance(other, RunPlace):
        _compare_runs(one, other)
    elif isinstance(one, Path) and isinstance(other, Path):
        _compare_sweeps(one, other)
    else:
        run, sweep = (first, second) if isinstance(one, RunPlace) else (second, first)
        raise InvalidRequest([f"{run!r:.80} is a run and {sweep!r:.80} a sweep; give two runs or two sweeps"])


def _compare_runs(one: RunPlace, other: RunPlace) -> None:
    from bnbench import store
    from bnbench.console import plain_console
    from bnbench.filters import SETTINGS

    places = (one, other)
    rows = [store.checked_rows(place.folder)[place.identity] for place in places]
    tags = [", ".join(store.read_tags(place.folder).get(place.identity, ())) for place in places]
    table = table_of("", *(f"{place.folder.name}/{place.identity}" for place in places))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    spec = [column for column in columns if column.partition(".")[0] in SETTINGS]
    differing = [column for column in spec if rows[0].get(column, "") != rows[1].get(column, "")]
    for column in differing:
        table.add_row(column, *(_short(column, row) or "-" for row in rows))
    if not differing:
        table.add_row("settings", "the same", "the same")
    table.add_section()
    table.add_row("", "", "")
    for column in (column for column in columns if column not in spec and column != "run_id"):
        if any(row.get(column) for row in rows):
            table.add_row(column, *(_short(column, row) or "-" for row in rows))
    if any(tags):
        table.add_row("tags", *(its or "-" for its in tags))
    plain_console(whole=True).print(table)


def _compare_sweeps(one: Path, other: Path) -> None:
    from bnbench import store

    tables = [store.checked_rows(folder) for folder in (one, other)]
    names = [one.name, other.name] if one.name != other.name else [str(one), str(other)]
    shared = [identity for identity in tables[0] if identity in tables[1]]
    echo(f"{plural(len(shared), 'run')} in both")
    for name, table, beside in zip(names, tables, reversed(tables), strict=True):
        _tell_alone(name, [row for identity, row in table.items() if identity not in beside])
    _tell_settings(names, [list(table.values()) for table in tables])
    _tell_outcomes(names, [(tables[0][identity], tables[1][identity]) for identity in shared])


def _tell_alone(name: str, rows: Sequence[Row]) -> None:
    """Print the runs that are in one sweep only."""
    from bnbench.filters import varying

    if not rows:
        return
    echo(f"{plural(len(rows), 'run')} in {name} only")
    settings = list(varying(rows))
    for row in rows[:MOST]:
        echo("  ".join(["", row["run_id"], row["status"], *(f"{key}={row.get(key, '')}" for key in settings)]))
    if len(rows) > MOST:
        echo(f"  and {len(rows) - MOST} more")


def _tell_settings(names: Sequence[str], tables: Sequence[Sequence[Row]]) -> None:
    """Print the values of settings that only one of the sweeps has."""
    from bnbench.filters import SETTINGS

    columns = dict.fromkeys(column for rows in tables for row in rows for column in row)
    for column in (column for column in columns if column.partition(".")[0] in SETTINGS):
        values = [dict.fromkeys(row.get(column, "") for row in rows) for rows in tables]
        alone = [[value for value in its if value not in beside] for its, beside in ((*values,), (*reversed(values),))]
        if any(value for its in alone for value in its):
            parts = [f"{', '.join(value or 'none' for value in its)} in {name} only"
                     for name, its in zip(names, alone, strict=True) if its]  # fmt: skip
            echo(f"{column}: {'; '.join(parts)}")


def _tell_outcomes(names: Sequence[str], pairs: Sequence[tuple[Row, Row]]) -> None:
    """Print the runs of both sweeps whose results are not the same numbers."""
    from bnbench.console import plain_console
    from bnbench.store import differing_results

    differing = [(pair, columns) for pair in pairs if (columns := differing_results(*pair))]
    if not differing:
        echo("the runs in both have the same results" if pairs else "no run is in both")
        return
    echo(f"{plural(len(differing), 'run')} in both with other results")
    table = table_of("run", "", *names)
    for (one, other), columns in differing[:MOST]:
        for number, column in enumerate(columns):
            cells = [_short(column, row) or "-" for row in (one, other)]
            table.add_row("" if number else one["run_id"], column, *cells)
    plain_console(whole=True).print(table)
    if len(differing) > MOST:
        echo(f"and {len(differing) - MOST} more")


def _short(column: str, row: Row) -> str:
    """A cell as it is, but numbers of outcomes, whose last digits tell runs apart, with twelve digits."""
    from bnbench.filters import number
    from bnbench.store.columns import OUTCOME, RUN_TYPES

    cell = row.get(column, "")
    value = number(cell) if column in OUTCOME and RUN_TYPES.get(column) != "str" else None
    return cell if value is None else general(value) if column == "seconds" else f"{value:.12g}"
