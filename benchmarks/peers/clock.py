"""The times of one run, and of the program around it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median

import torch

from benchmarks.cells import Job

WARM_UP_EPOCHS = 1


@dataclass(frozen=True)
class Times:
    """Seconds of one run: network and optimizer, each epoch, the test."""

    build: float
    epochs: list[float]
    test: float

    def run(self, epochs: int) -> float:
        """Seconds of a run of so many epochs like the measured ones, of which the first warms up."""
        return self.build + epochs * median(self.epochs[WARM_UP_EPOCHS:] or self.epochs) + self.test


@dataclass
class Watch:
    """Takes the times of one run, which begins when the data is there.

    What a program does once for all of its runs is no part of it: torch imports half of itself for its first optimizer.
    """

    _last: float = 0.0
    _build: float = 0.0
    _epochs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.optim.SGD([torch.zeros(1)])
        self._last = time.perf_counter()

    def built(self) -> None:
        """Network and optimizer are there."""
        self._build = self._lap()

    def epoch(self) -> None:
        """An epoch with its evaluation is over."""
        self._epochs.append(self._lap())

    def tested(self) -> Times:
        """The run is over."""
        return Times(self._build, self._epochs, self._lap())

    def _lap(self) -> float:
        before, self._last = self._last, time.perf_counter()
        return self._last - before


def report(train: Callable[[Job], Times]) -> None:
    """Train the job named on the command line and print its times as JSON."""
    print(json.dumps(asdict(train(Job.read(sys.argv[1])))))


def read(text: str) -> Times:
    """Read the last line of what :func:`report` printed."""
    return Times(**json.loads(text.strip().splitlines()[-1]))
