"""The progress of a sweep, and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bnbench import store
from bnbench.spec import RunSpec
from bnbench.tasks import End


@dataclass(frozen=True)
class Progress:
    """The progress of a sweep: runs ended, by status, of ``total``; and the end of the last one.

    Attributes:
        impossible: runs that are never tried; no part of ``total``.
        silent: runs from which nothing has come for long, and for how many seconds.
        left: seconds that it will still take; None while nothing is known of that.
        now: the step that goes on at the moment.
    """

    total: int
    running: int
    ended: Mapping[str, int]
    impossible: int = 0
    last: End | None = None
    silent: Mapping[RunSpec, float] = field(default_factory=dict)
    left: float | None = None
    now: str = ""

    @property
    def done(self) -> int:
        """Runs that ended in any way."""
        return sum(self.ended.values())

    @property
    def failed(self) -> int:
        """Runs that ended without a result."""
        return sum(count for status, count in self.ended.items() if status in store.FAILURES)


@dataclass(frozen=True)
class Summary:
    """The end of a sweep.

    Attributes:
        folder: where the results are.
        statuses: by run_id, for every run that was asked for.
        trained: the number of runs that were trained now.
        interrupted: whether the user stopped it.
        left: the number of stacks that are left to the jobs of a cluster.
    """

    folder: Path
    statuses: Mapping[str, str]
    trained: int
    interrupted: bool = False
    left: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """The number of runs with each status."""
        return dict(Counter(self.statuses.values()))

    @property
    def given_up(self) -> int:
        """Runs that nobody stopped and that are left at a checkpoint: their jobs were interrupted too often."""
        return 0 if self.interrupted or self.left else self.counts.get("interrupted", 0)

    @property
    def failures(self) -> int:
        """Runs without a result."""
        failed = sum(count for status, count in self.counts.items() if status in store.FAILURES)
        return failed + self.given_up
