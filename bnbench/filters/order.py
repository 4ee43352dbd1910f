"""Runs in the order of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnbench.filters.columns import Columns, number


def ordered(rows: Sequence[Mapping[str, str]], keys: Sequence[str], columns: Columns) -> list[Mapping[str, str]]:
    """Runs by some columns, the first one first; those that lack a value (or are not a number) come last.

    Args:
        rows: of runs.csv.
        keys: names of columns, ``-`` in front of those with the largest value first.

    Raises:
        InvalidRequest: a key is no column.
    """
    columns.check([key.removeprefix("-") for key in keys], "--sort")
    result = list(rows)
    for key in reversed(keys):
        name, falls = key.removeprefix("-"), key.startswith("-")
        if columns.holds_numbers(name):
            places = {cell: number(cell) for cell in columns.cells(name)}
            numbers = {cell: place for cell, place in places.items() if place is not None and place == place}
            known = [row for row in result if row.get(name, "") in numbers]
            known.sort(key=lambda row: numbers[row[name]], reverse=falls)
            result = [*known, *(row for row in result if row.get(name, "") not in numbers)]
        else:
            known = sorted((row for row in result if row.get(name)), key=lambda row: row[name], reverse=falls)
            result = [*known, *(row for row in result if not row.get(name))]
    return result
