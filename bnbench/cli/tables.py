"""Plain tables, and why a sweep is not in one."""

from __future__ import annotations

from typing import Any

from bnbench.errors import Damaged


def table_of(*columns: str) -> Any:
    """An empty table with plain columns."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def not_read(error: Damaged | OSError) -> str:
    """Why a sweep's folder cannot be read."""
    if isinstance(error, Damaged):
        return f"damaged: {error.what} ({error.path})"
    return f"cannot be read: {error.strerror or error} ({error.filename})"
