"""bnbench ls of sweeps: how many runs each has, and how they ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnbench.cli.tables import not_read, table_of
from bnbench.console import echo, plain_console
from bnbench.errors import Damaged


@dataclass(frozen=True)
class _Entry:
    """A sweep in the list.

    Attributes:
        counts: its runs by status; none of one that cannot be read.
        last: when its table was last written.
        reason: why it cannot be read; empty for one that can be.
    """

    name: str
    counts: Counter[str]
    last: str
    reason: str = ""

    @property
    def statuses(self) -> str:
        """The runs by status in words, or the kind of the fault."""
        told = ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items()))
        return self.reason.partition(":")[0] or told


def list_sweeps(results: Path, form: str) -> int:
    """Print the sweeps of a folder of results; the exit code, which is 1 if one is damaged.

    Args:
        form: ``json``, ``csv``, or empty for a table.
    """
    from bnbench import store

    entries = [_entry(folder) for folder in store.sweep_folders(results)]
    damaged = [f"{entry.name}: {entry.reason}" for entry in entries if entry.reason]
    others = [f"left alone: {folder}: {reason}" for folder, reason in store.foreign_folders(results).items()]
    if form:
        _print_as(form, entries)
    elif entries:
        table = table_of("sweep", "runs", "statuses", "last")
        for entry in entries:
            table.add_row(entry.name, "" if entry.reason else str(entry.counts.total()), entry.statuses, entry.last)
        plain_console(whole=True).print(table)
    else:
        echo(f"no sweeps in {results}; start one with: bnbench sweep --name first norm=none,batch")
    for line in (*damaged, *others):
        echo(line, error=bool(form))
    return 1 if damaged else 0


def _entry(folder: Path) -> _Entry:
    from bnbench import store

    try:
        return _Entry(folder.name, Counter(store.statuses(folder).values()), _changed(folder))
    except (Damaged, OSError) as error:
        return _Entry(folder.name, Counter(), _changed(folder), not_read(error))


def _print_as(form: str, entries: Sequence[_Entry]) -> None:
    """Print the sweeps that can be read for other programs."""
    from bnbench.store.files import line

    entries = [entry for entry in entries if not entry.reason]
    if form == "json":
        records = [
            {"sweep": entry.name, "runs": entry.counts.total(), "statuses": dict(entry.counts), "last": entry.last}
            for entry in entries
        ]
        echo(json.dumps(records, indent=1))
        return
    rows = [[entry.name, str(entry.counts.total()), entry.statuses, entry.last] for entry in entries]
    echo("".join(map(line, [["sweep", "runs", "statuses", "last"], *rows])).removesuffix("\n"))


def _changed(folder: Path) -> str:
    from datetime import datetime

    try:
        return datetime.fromtimestamp((folder / "runs.csv").stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    except OSError:
        return ""
