"""The columns of a table of runs: which there are, and whether they hold numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bnbench.errors import InvalidRequest, nearest
from bnbench.store.cells import RUN_RULES, Number
from bnbench.store.columns import IDENTITY, OUTCOME, RUN_TYPES, SPEC

SETS = ("tag",)
"""Columns whose cells hold several words, parted by blanks."""


def number(cell: str) -> float | None:
    """The number that a cell holds; None for any other text, and for a missing value."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


class Columns:
    """The columns of some runs.

    Args:
        rows: of runs.csv, as texts.
    """

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self._rows = rows
        self.names: Sequence[str] = list(dict.fromkeys(name for row in rows for name in row)) or [
            *IDENTITY,
            *SPEC,
            *OUTCOME,
        ]
        self._numbers: dict[str, bool] = {}

    def cells(self, name: str) -> list[str]:
        """The different cells of a column, in the order of the runs, missing ones left out."""
        return list(dict.fromkeys(cell for row in self._rows if (cell := row.get(name, ""))))

    def holds_numbers(self, name: str) -> bool:
        """True for a column of numbers, as the store has it or, of an option, as all of its cells show."""
        if name not in self._numbers:
            rule, cells = RUN_RULES.get(name), self.cells(name)
            free = (
                name not in SETS
                and RUN_TYPES.get(name) != "str"
                and bool(cells)
                and all(number(cell) is not None for cell in cells)
            )
            self._numbers[name] = isinstance(rule, Number) or (rule is None and free)
        return self._numbers[name]

    def check(self, names: Iterable[str], place: str) -> None:
        """Refuse names that are no columns.

        Args:
            place: where they stand, for the message: ``--sort``.

        Raises:
            InvalidRequest: naming the nearest columns.
        """
        problems = [f"{place} {name!r:.80}: no such column; {self.near(name)}" for name in names if not self.has(name)]
        if problems:
            raise InvalidRequest(problems)

    def has(self, name: str) -> bool:
        """True for the name of a column."""
        return name in self.names

    def near(self, name: str) -> str:
        """The columns nearest to a name, in words; options by their last part as well."""
        ends = [column for column in self.names if column.partition(".")[2] == name]
        return f"did you mean {ends[0]!r}?" if ends else nearest(name, self.names, "--columns all")
