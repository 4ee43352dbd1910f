"""Entries of tables as plain text, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable

from bnbench.analysis.levels import short_text
from bnbench.reports.view import Cell, Unit
from bnbench.reports.wording import count, magnitude, percent, ratio, signed_percent
from bnbench.text import general

WRITERS: dict[Unit, Callable[[float], str]] = {
    "plain": general,
    "percent": percent,
    "signed percent": signed_percent,
    "count": count,
    "magnitude": magnitude,
    "ratio": ratio,
    "decades": "{:.1f}".format,
    "nats": "{:.3f}".format,
}
"""By unit, how one number is written."""


def plain_text(cell: Cell) -> str:
    """An entry on one line: ``97.2 ± 0.3``, ``400 [300-500]``, ``0.1 edge``, ``n/a``; ``-`` where there is nothing."""
    bound = f"{cell.bound} " if cell.bound else ""
    return " ".join([f"{bound}{_number(cell)}", *cell.remarks])


def _number(cell: Cell) -> str:
    if cell.words:
        return cell.words
    if cell.unit == "lr range" and cell.low is not None and cell.high is not None:
        low, high = short_text(cell.low, cell.digits), short_text(cell.high, cell.digits)
        return low if low == high else f"{low} to {high}"
    if cell.value is None:
        return "-"
    if isinstance(cell.value, str):
        return cell.value
    if cell.unit == "lr":
        return short_text(cell.value, cell.digits)
    if cell.unit == "share":
        n = cell.n or 0
        return f"{round(cell.value * n)}/{n}"
    return _with_spread(cell, cell.value, WRITERS[cell.unit])


def _with_spread(cell: Cell, value: float, write: Callable[[float], str]) -> str:
    if cell.spread is not None:
        return f"{write(value)} ± {(write if cell.unit == 'nats' else percent)(cell.spread)}"
    if cell.unit in ("count", "magnitude") and cell.low is not None and cell.high is not None and cell.low != cell.high:
        return f"{write(value)} [{write(cell.low)}-{write(cell.high)}]"
    return write(value)
