"""The versions of data that has changed between runs: one for each fingerprint of what its files held."""

from __future__ import annotations

from collections.abc import Iterable


def data_versions(runs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The time at which the first run on each version began, by fingerprint, oldest first.

    Args:
        runs: the fingerprint of the data of each run, and when it began.
    """
    first: dict[str, str] = {}
    for data, begun in runs:
        first[data] = min(begun, first.get(data, begun))
    return dict(sorted(first.items(), key=lambda entry: (entry[1], entry[0])))
