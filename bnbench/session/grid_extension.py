"""Grids that are added to a sweep with another one."""

from __future__ import annotations

from bnbench import store
from bnbench.session.plan import Plan
from bnbench.spec import Value, flatten
from bnbench.store.files import text
from bnbench.text import plural

VERSIONS = frozenset({"plugin", "data"})
"""Columns that tell versions of one cell apart: an edited norm or changed data make no other grid."""


def extension(plan: Plan) -> str | None:
    """A sentence on the runs that a plan adds to a sweep with another grid; None if there are none, or no sweep."""
    count = _added(plan)
    known = plural(len(plan.known), "run")
    return f"sweep {plan.folder.name} holds another grid: {known} there, {count} new" if count else None


def _added(plan: Plan) -> int:
    """The number of runs that are none of the cells that the sweep's folder holds; 0 for a new sweep.

    The same grid, and a part of it, add nothing, also where all of it is trained again: with an edited plugin, on
    changed data, or by another version of bnbench.
    """
    new = [flatten(spec) for identity, spec in plan.specs.items() if identity not in plan.known] if plan.known else []
    if not new:
        return 0
    rows = list(store.checked_rows(plan.folder).values())
    columns = [column for column in rows[0] if column not in VERSIONS and any(column in cell for cell in new)]
    there = {tuple(row.get(column, "") for column in columns) for row in rows}
    count, met = 0, dict[tuple[str, ...], dict[str, Value]]()
    for cell in new:
        place = tuple(text(cell.get(column)) for column in columns)
        settings = {column: value for column, value in cell.items() if column not in VERSIONS}
        # of cells that differ in what the sweep has no column for, one can be what is there
        count += place not in there or met.setdefault(place, settings) != settings
    return count
