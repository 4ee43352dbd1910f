"""Time in which a process stands still does not count against those whom it watches."""

from __future__ import annotations

import time

import pytest

from bnbench.launch.awake import LONGEST_GAP, AwakeClock


def test_a_gap_counts_up_to_its_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = AwakeClock(now)
    start, told = clock(), []
    for seconds in (1.0, 1.0, 3600.0, 1.0):
        now += seconds
        told.append(clock() - start)
    assert told == [1.0, 2.0, 2.0 + LONGEST_GAP, 3.0 + LONGEST_GAP]
