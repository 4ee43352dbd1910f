"""The result of a run: the numbers that must be the same whenever and wherever it is trained."""

from __future__ import annotations

from collections.abc import Mapping

from bnbench.store.columns import OUTCOME, OUTCOME_TEXTS

_CIRCUMSTANCES = frozenset({*OUTCOME_TEXTS, "lanes", "seconds"})

RESULT = ("status", *(column for column in OUTCOME if column not in _CIRCUMSTANCES))
"""Columns of a result; the others say when, where and how long."""


def differing_results(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The columns in which two rows of one run have other results."""
    return [column for column in RESULT if not _same(one.get(column, ""), other.get(column, ""))]


def _same(one: str, other: str) -> bool:
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False
