"""The settings in which runs differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

from bnbench.spec import RunSpec

SETTINGS = frozenset(field.name for field in fields(RunSpec))
"""The heads of the columns that make up a run's spec."""


def varying(rows: Sequence[Mapping[str, str]], apart: Collection[str] = ()) -> dict[str, list[str]]:
    """The values of each setting that has several, by its key; not of options that come with a choice.

    Args:
        rows: of runs.csv.
        apart: settings that are left out.
    """
    known = SETTINGS.difference(apart)
    values: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        head = key.partition(".")[0]
        if head not in known:
            continue
        pairs = dict.fromkeys((row.get(head, ""), row.get(key, "")) for row in rows)
        several = dict.fromkeys(value for _, value in pairs)
        is_free = key == head or len(pairs) > len({choice for choice, _ in pairs})
        if len(several) > 1 and is_free:
            values[key] = [value for value in several if value]
    return values
