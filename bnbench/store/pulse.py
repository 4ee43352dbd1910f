"""The progress of the runs that train."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bnbench.store.following import Segments
from bnbench.store.segment import series_of_segment
from bnbench.store.series import METRIC_SERIES

TAIL = 4096
"""Bytes at the end of a file among which there is a whole row."""


@dataclass(frozen=True)
class Pulse:
    """The progress of a run.

    Attributes:
        began: when it began to train, in seconds since the epoch.
        step: of the last evaluation of its stack; 0 before the first.
        epoch: of that.
        evaluated: when that was written, in seconds since the epoch.
    """

    began: float
    step: int
    epoch: float
    evaluated: float


def pulses(segments: Segments) -> dict[str, Pulse]:
    """By run_id, the progress of each run that a worker of a sweep trains: of each segment those that began last."""
    progress: dict[str, Pulse] = {}
    for path, story in segments.look().items():
        series = series_of_segment(path, METRIC_SERIES)
        try:
            identity, step, epoch = _last(series)
            start, evaluated = datetime.fromisoformat(story.began).timestamp(), series.stat().st_mtime
        except (FileNotFoundError, ValueError):
            continue  # joined meanwhile, or nothing that can be told from
        pulse = Pulse(start, step, epoch, evaluated) if identity in story.latest else Pulse(start, 0, 0.0, start)
        progress |= dict.fromkeys(story.latest - story.latest_ended, pulse)
    return progress


def _last(path: Path) -> tuple[str, int, float]:
    """Run, step and epoch of the last whole row of a metrics file; no run and 0 if it has none."""
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
        cells = stream.read().rpartition(b"\n")[0].rpartition(b"\n")[2].split(b",")
    known = len(cells) > 2 and cells[1].isdigit()
    return (cells[0].decode(), int(cells[1]), float(cells[2])) if known else ("", 0, 0.0)
