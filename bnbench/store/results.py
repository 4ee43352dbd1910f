"""The result of a run: the numbers that must be the same whenever and wherever it is trained."""

from __future__ import annotations

from collections.abc import Mapping

from bnbench.store.columns import OUTCOME, OUTCOME_TEXTS, RESULTS, STOPPED

_CIRCUMSTANCES = frozenset({*OUTCOME_TEXTS, "lanes", "seconds"})

RESULT = ("status", *(column for column in OUTCOME if column not in _CIRCUMSTANCES))
"""Columns of a result; the others say when, where and how long."""


def is_over(row: Mapping[str, str], until: int | None) -> bool:
    """True for the row of a run with a result, or that has stopped after so many epochs or later, if they are given."""
    if row["status"] == STOPPED:
        return until is not None and float(row["epochs_done"] or 0) >= until
    return row["status"] in RESULTS


def differing_results(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The columns in which two rows of one run have other results."""
    return [column for column in RESULT if not _same(one.get(column, ""), other.get(column, ""))]


def _same(one: str, other: str) -> bool:
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False
