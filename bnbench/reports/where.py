"""The settings that tell the runs behind a number, as filters of runs.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from bnbench.analysis.datasets import DATA, PATH
from bnbench.analysis.levels import Level, level_text, typed
from bnbench.analysis.rows import Rows
from bnbench.analysis.trials import SUPERSEDED
from bnbench.analysis.versions import Versions
from bnbench.reports.view import Cell, ReportView, Table

Where = Mapping[str, str]
NOWHERE: Where = {}
ALL_HAVE = ("norm", "dataset")
"""Settings that tell the only row of a table."""


@final
class Sources:
    """The runs behind the entries of a table.

    Args:
        rows: of the table.
        by: columns besides ``row`` by which the runs of an entry are chosen: ``lr``, ``batch_size``.
    """

    def __init__(self, rows: Rows, by: Sequence[str] = ()) -> None:
        frame = rows.trials.frame
        self._rows, self._by = rows, tuple(by)
        self._keys = cast(dict[int, dict[str, int]], rows.keys.to_dict("index"))
        self._members = cast(Mapping[Any, NDArray[np.intp]], frame.groupby(["row", *by]).indices)
        self._status, self._identity, self._counted, self._diverged = (
            frame[name].to_numpy() for name in ("status", "run_id", "counted", "diverged")
        )

    def of_all(self, row: int, *codes: int) -> Where:
        """The results at a row, whether they diverged or not; nothing where there are none."""
        members = self._of(row, codes)
        return self._told(row, codes, members, self._counted[members])

    def of_mean(self, row: int, *codes: int) -> Where:
        """The results behind a mean: without those that diverged, where some did not."""
        members = self._of(row, codes)
        counted, diverged = self._counted[members], self._diverged[members]
        partly = bool((counted & diverged).any() and (counted & ~diverged).any())
        return self._told(row, codes, members, counted & ~diverged if partly else counted)

    def _of(self, row: int, codes: tuple[int, ...]) -> NDArray[np.intp]:
        return self._members.get((row, *codes) if codes else row, np.array([], dtype=np.intp))

    def _told(self, row: int, codes: tuple[int, ...], members: NDArray[np.intp], behind: NDArray[np.bool_]) -> Where:
        """The settings of some members of a group; where others have the same and ended alike, the run_ids instead."""
        if not behind.any():
            return NOWHERE
        settings = self._settings(row, codes)
        if behind.all():
            return settings
        status = self._status[members]
        inside, outside = set(status[behind]), set(status[~behind])
        if inside & outside or SUPERSEDED in outside:
            return {"run_id": ",".join(map(str, self._identity[members][behind]))}
        return {**settings, "status": ",".join(sorted(inside))}

    def _settings(self, row: int, codes: tuple[int, ...]) -> Where:
        key, levels = self._keys[row], self._rows.trials.levels
        names = {name: key[name] for name in self._rows.factors} | dict(zip(self._by, codes, strict=True))
        names = names or {name: key[name] for name in ALL_HAVE if name in key}
        if PATH in names and levels.get(DATA, (None,))[key.get(DATA, 0)] is not None:
            del names[PATH]  # equal data may have several
            names[DATA] = key[DATA]
        return {name: exact_text(name, levels[name][code]) for name, code in names.items()}


def exact_text(name: str, level: Level) -> str:
    """A level as a user would type it, with all of its digits."""
    text = level_text(level)
    return text if typed(name, text) == level else repr(level)


def with_versions(view: ReportView, versions: Versions) -> ReportView:
    """The view with the names in ``runs.csv``, and the plugin, in place of those of versions of a component."""
    if not versions.components:
        return view
    names = {
        (component.group, label if len(shown) > 1 else component.name): {
            component.group: component.name,
            "plugin": component.sources[label] or "null",
        }
        for component, shown in versions.components
        for label in shown
    }
    groups = {group: versions.runs[group].astype(str).unique() for group, _ in names}
    everywhere = {group: str(values[0]) for group, values in groups.items() if len(values) == 1}
    return replace(view, tables=tuple(_renamed(table, names, everywhere) for table in view.tables))


def _renamed(table: Table, names: Mapping[tuple[str, str], Where], everywhere: Where) -> Table:
    def renamed(cell: Cell) -> Cell:
        if not cell.where:
            return cell
        where = {**everywhere, **cell.where}
        for item in tuple(where.items()):
            where.update(names.get(item, {}))
        return replace(cell, where=where)

    return replace(table, rows=tuple(tuple(map(renamed, row)) for row in table.rows))
