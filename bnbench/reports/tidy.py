"""The numbers of a report as one tidy table, a line per number, and as CSV that no spreadsheet executes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bnbench.analysis.levels import NAMES
from bnbench.filters import quoted
from bnbench.notices import notice
from bnbench.reports.plain import plain_text
from bnbench.reports.view import NOTHING, Cell, Report, Table, Unit
from bnbench.text import one_line, plural

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "view", "table", "row", "column", "value", "unit", "spread", "low", "high", "n", "mark", "text", "where",
)  # fmt: skip
NUMBERS = ("value", "spread", "low", "high", "n")
UNITS: Mapping[Unit, str] = {
    "plain": "",
    "percent": "fraction",
    "signed percent": "fraction",
    "share": "fraction",
    "lr range": "lr",
    "magnitude": "count",
}
"""By unit of a cell, that of its numbers; all others are their own."""
LISTS = ("run_id", "status")
"""Settings that may name several values with commas between them."""
FORMULA = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a text that a spreadsheet may execute; spreadsheets read wide signs as well."""
SIGNED_NUMBER = re.compile(r"-|[+-]?[\d.,]+([eE][+-]?\d+)?( ± [\d.,]+)?")
"""Texts that begin like a formula, but are none; a sign alone is one of them."""


def tidy(report: Report) -> pd.DataFrame:
    """The numbers of all tables: a line for each entry that holds something.

    ``row`` is what the key columns of the table say, ``text`` the entry as tables show it, and ``where`` the settings
    of the runs behind it, as ``bnbench ls`` takes them. Accuracies, drops and shares are fractions; what is no number
    has a ``text`` only.
    """
    import pandas as pd

    lines = [line for view in report.views for table in view.tables for line in _lines(view.title, table)]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(COLUMNS, "str"), **dict.fromkeys(NUMBERS, "float64"), "n": "Int64"})


def _lines(view: str, table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        entries = list(zip(table.columns, row, strict=True))
        name = ", ".join(f"{column.title}={plain_text(cell)}" for column, cell in entries if column.key)
        for column, cell in entries:
            if not column.key and cell != NOTHING:
                yield {"view": view, "table": table.title, "row": name, "column": column.title, **_entry(cell)}


def _entry(cell: Cell) -> dict[str, Any]:
    return {
        "value": None if isinstance(cell.value, str) else cell.value,
        "unit": UNITS.get(cell.unit, cell.unit),
        "spread": cell.spread,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "mark": cell.mark,
        "text": plain_text(cell),
        "where": shlex.join(f"{name}={_value(name, text)}" for name, text in cell.where.items()),
    }


def _value(name: str, text: str) -> str:
    """A setting's value as a filter takes it; what is a list already, and null, stay as they are."""
    if name in LISTS or (text == "null" and name not in NAMES):
        return text
    return quoted(text)


def render_csv(report: Report) -> str:
    """Write the tidy table as CSV; a notice says where an apostrophe was put in front of what looks like a formula."""
    text, count = safe_csv(tidy(report))
    if count:
        them = "it" if count == 1 else "them"
        notice(
            f"{plural(count, 'text')} of the CSV would be a formula in a spreadsheet; an apostrophe in front of {them}"
            " prevents that"
        )
    return text


def safe_csv(frame: pd.DataFrame) -> tuple[str, int]:
    """A table as CSV with an apostrophe in front of each text that looks like a formula, and how many there are."""
    texts = frame.select_dtypes(exclude=["number", "bool"])
    texts = texts.map(lambda value: one_line(value) if isinstance(value, str) else value)
    formulas = texts.map(_is_formula)
    safe = texts.mask(formulas, "'" + texts.astype(str))
    whole = frame.assign(**{str(name): safe[name] for name in safe})
    return str(whole.to_csv(index=False, lineterminator="\n")), int(formulas.to_numpy().sum())


def _is_formula(value: object) -> bool:
    """True for a text that a spreadsheet would take for a formula."""
    return isinstance(value, str) and bool(FORMULA.match(value)) and not SIGNED_NUMBER.fullmatch(value)
