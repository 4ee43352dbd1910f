"""bnbench ls of runs: those that meet some conditions, as a table, tab-separated, JSON or CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bnbench import store
from bnbench.cli.settings import Settings
from bnbench.cli.tables import not_read, table_of
from bnbench.console import echo, plain_console
from bnbench.errors import Damaged, InvalidRequest
from bnbench.filters import Columns, chosen, conditions, is_condition, number, ordered, unmatched, varying
from bnbench.store.cells import ACCURACIES
from bnbench.store.files import line
from bnbench.text import general, harmless, plural

Rows = Sequence[Mapping[str, str]]

FIRST, LAST = ("sweep", "run_id"), ("status", *ACCURACIES, "tag")
"""Columns that are shown by default, before and behind the settings that vary."""
MOST_ON_TERMINAL = 1000


def parted(words: Sequence[str], settings: Settings) -> tuple[list[str], list[str]]:
    """The sweeps that come first, and the conditions behind them.

    Raises:
        InvalidRequest: a sweep stands behind a condition.
    """
    kinds = [is_condition(word) and not store.is_sweep(settings.sweep_folder(word)) for word in words]
    if kinds != sorted(kinds):
        late = next(
            word for word, kind, before in zip(words[1:], kinds[1:], kinds, strict=False) if before and not kind
        )
        problem = "sweeps stand before conditions; a condition has a sign, as in norm=batch"
        raise InvalidRequest([f"{late!r:.80}: {problem}"])
    first = kinds.index(True) if True in kinds else len(kinds)
    return list(words[:first]), list(words[first:])


def runs_of(settings: Settings, names: Sequence[str], told: list[str]) -> list[dict[str, str]]:
    """The rows of sweeps, or of all that there are, with their ``sweep`` and ``tag``.

    Args:
        told: takes a line for each sweep that cannot be read, where none was named.

    Raises:
        BnbenchError: a sweep that was named is not there, or is damaged.
    """
    rows: list[dict[str, str]] = []
    folders = [settings.sweep_folder(name) for name in names] or store.sweep_folders(settings.results)
    for folder in dict.fromkeys(folders):
        try:
            store.check_sweep(folder)
            tags = store.read_tags(folder)
            for identity, row in store.checked_rows(folder).items():
                rows.append({"sweep": folder.name, **row, "tag": " ".join(tags.get(identity, ()))})
        except (Damaged, OSError) as error:
            if names:
                raise
            told.append(f"not looked into: {folder}: {not_read(error)}")
    return rows


def list_runs(
    settings: Settings, words: Sequence[str], sort: str | None, columns: str | None, form: str
) -> tuple[list[str], list[str]]:
    """Print the runs of the sweeps that meet the conditions.

    Args:
        form: ``json``, ``csv``, or empty for a table on a terminal and tab-separated cells elsewhere.

    Returns:
        a line for each sweep that cannot be read, and one for each condition that no run meets.

    Raises:
        InvalidRequest: a column, a condition or a sweep is none.
    """
    names, filters = parted(words, settings)
    told: list[str] = []
    rows = runs_of(settings, names, told)
    known = Columns(rows)
    wanted = conditions(filters, known)
    shown = _shown(columns, known)
    notes = unmatched(wanted, known) if rows else [f"no runs in {settings.results}"] if not names else []
    selected = ordered(chosen(rows, wanted), _parts(sort), known)
    shown = shown or _default(selected, several=len({row["sweep"] for row in rows}) > 1)
    _print(selected, shown, known, form)
    return told, notes


def _print(rows: Rows, shown: Sequence[str], known: Columns, form: str) -> None:
    console = plain_console()
    cells = [[row.get(name, "") for name in shown] for row in rows]
    if form == "json":
        numbers = [known.holds_numbers(name) for name in shown]
        records = [dict(zip(shown, map(_literal, line_cells, numbers), strict=True)) for line_cells in cells]
        echo(json.dumps(records, indent=1))
    elif form == "csv":
        echo("".join(map(line, [shown, *cells])).removesuffix("\n"))
    elif not console.is_terminal:
        lines = ["\t".join(map(harmless, line_cells)).replace("\n", r"\n") for line_cells in [shown, *cells]]
        print("\n".join(lines))
    elif not rows:
        echo("no runs")
    else:
        _print_table(cells, shown, [known.holds_numbers(name) for name in shown])


def _print_table(cells: Sequence[Sequence[str]], shown: Sequence[str], numbers: Sequence[bool]) -> None:
    """A table of numbers with six digits; of very many runs the first ones."""
    table = table_of(*shown)
    for column, is_number in zip(table.columns, numbers, strict=True):
        column.justify = "right" if is_number else "left"
        column.no_wrap = column.header in ("run_id", "status")
    for line_cells in cells[:MOST_ON_TERMINAL]:
        table.add_row(*map(_short, line_cells, numbers))
    plain_console().print(table)
    if len(cells) > MOST_ON_TERMINAL:
        echo(
            f"... and {plural(len(cells) - MOST_ON_TERMINAL, 'run')} more; a pipe gets all, as in bnbench ls ... | less"
        )


def _short(cell: str, is_number: bool) -> str:
    value = number(cell) if is_number else None
    return cell if value is None else general(value)


def _literal(cell: str, is_number: bool) -> Any:
    """A cell as JSON has it; ``nan`` and ``inf``, for which it has nothing, stay texts."""
    if not cell:
        return None
    if cell in ("true", "false"):
        return cell == "true"
    value = number(cell) if is_number else None
    if value is None or value - value != 0:
        return cell
    return int(cell) if cell.isdigit() else value


def _default(rows: Rows, several: bool) -> list[str]:
    first = FIRST if several else FIRST[1:]
    middle = [name for name in varying(rows) if name not in (*FIRST, *LAST)]
    last = [name for name in LAST if name == "status" or any(row.get(name) for row in rows)]
    return [*first, *middle, *last]


def _shown(columns: str | None, known: Columns) -> list[str]:
    """The columns that were asked for, each once; none if it is left to what there is."""
    if columns == "all":
        return list(known.names)
    names = _parts(columns)
    known.check(names, "--columns")
    return list(dict.fromkeys(names))


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text is not None else []
