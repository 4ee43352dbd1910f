"""Provenance of a report: the sweeps, how their runs ended, versions, machines and times, as names and texts."""

from __future__ import annotations

import pandas as pd

from bnbench.text import listing, plural

FEW = 5
"""Versions, devices or hosts that are listed at most."""


def report_title(runs: pd.DataFrame) -> str:
    """The names of the sweeps that runs belong to."""
    return listing(_texts(runs, "sweep")) or "Report"


def provenance(runs: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """All that a table of runs says of where its numbers come from; a line without text is left out.

    Args:
        runs: one line per run.
    """
    lines = {
        "sweeps": listing(_texts(runs, "sweep")),
        "runs": _endings(runs),
        "bnbench": _few(runs, "version"),
        "torch": _few(runs, "torch"),
        "commit": _few(runs, "git_commit"),
        "engine": _few(runs, "engine"),
        "device": _few(runs, "device"),
        "host": _few(runs, "host"),
        "trained": _times(runs),
    }
    return tuple((name, text) for name, text in lines.items() if text)


def _endings(runs: pd.DataFrame) -> str:
    """The number of runs and how they ended: ``81: 75 completed and 6 diverged``."""
    if "status" not in runs or runs.empty:
        return plural(len(runs), "run")
    counts = runs["status"].astype(str).str.replace("_", " ").value_counts()
    return f"{len(runs):,}: {listing([f'{count:,} {status}' for status, count in counts.items()])}"


def _times(runs: pd.DataFrame) -> str:
    """The time from the first start to the last end."""
    first, last = sorted(_texts(runs, "started_at"))[:1], sorted(_texts(runs, "finished_at"))[-1:]
    return " to ".join(_to_the_second(text) for text in [*first, *last])


def _to_the_second(text: str) -> str:
    """A time in UTC without what is less than a second: ``2026-01-31 12:00:00 UTC``."""
    day, _, time = text.partition("T")
    return f"{day} {time[:8]} UTC" if time else text


def _few(runs: pd.DataFrame, column: str) -> str:
    texts = _texts(runs, column)
    more = [f"{len(texts) - FEW} more"] if len(texts) > FEW else []
    return listing([*texts[:FEW], *more])


def _texts(runs: pd.DataFrame, column: str) -> list[str]:
    """The different texts of a column, in order of appearance, without missing values."""
    return [] if column not in runs else [text for text in map(str, runs[column].dropna().unique()) if text]
