"""A clock that goes back an hour costs no result: of two attempts at a run the one that was written last counts."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnbench import environment, store
from bnbench.environment import timestamp
from bnbench.launch.awake import AwakeClock
from bnbench.session import dispatch
from bnbench.spec import run_id
from bnbench.store import Segment, Segments, Silences, enter_runs, join, load_metrics, load_runs, pulses, statuses
from tests.store.sweeps import FACTS, evaluations, final, make_spec

SPECS = [make_spec(seed) for seed in range(4)]
IDS = [run_id(spec) for spec in SPECS]


class Clock:
    """The clock of this machine, which can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self, zone: tzinfo) -> datetime:
        return datetime.now(zone) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    set_clock = Clock()
    monkeypatch.setattr(environment, "datetime", set_clock)
    return set_clock


def attempt(folder: Path, name: str, status: str, loss: float) -> str:
    """Write an attempt at the first run as a worker does, and say when it ended."""
    (spec, *_) = SPECS
    with Segment(folder, f"{name}-host-1") as segment:
        segment.start([spec], {**FACTS, "started_at": timestamp()})
        segment.evaluation([{**row, "train_loss": loss} for row in evaluations(spec)])
        ended = timestamp()
        segment.finish([final(spec, status, finished_at=ended)])
    return ended


@pytest.mark.parametrize("status", ["completed", "failed"])
@pytest.mark.parametrize("earlier", [0, 8, 9])
@pytest.mark.parametrize("alone", [False, True])
def test_the_attempt_that_was_written_last_counts(
    tmp_path: Path, clock: Clock, status: str, earlier: int, alone: bool
) -> None:
    """Whether the program makes it or the process of the first one, and whatever the names are sorted by."""
    enter_runs(tmp_path, SPECS[:1], {}, {})
    name = store.attempt_name()
    for _ in range(earlier):
        name = store.part_name(name) if alone else store.attempt_name(name)
    first = attempt(tmp_path, name, status, 0.25)
    clock.ahead = -timedelta(hours=1)
    second = attempt(tmp_path, store.part_name(name) if alone else store.attempt_name(name), status, 0.75)
    assert second < first
    for _ in range(2):
        assert load_runs(tmp_path)["finished_at"].tolist() == [second]
        assert load_metrics(tmp_path)["train_loss"].tolist() == [0.75] * 3
        join(tmp_path)


def test_a_later_attempt_comes_behind_all_that_the_process_of_an_earlier_one_made() -> None:
    first = store.attempt_name()
    part = store.part_name(first)
    names = [store.attempt_name(part), store.part_name(part), first, part]
    assert sorted(names, key=store.attempts.attempt_order) == [first, part, names[1], names[0]]


def test_a_result_outlives_a_later_failure_whatever_the_clock_says(tmp_path: Path, clock: Clock) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    name = store.attempt_name()
    clock.ahead = -timedelta(hours=1)
    result = attempt(tmp_path, name, "completed", 0.25)
    clock.ahead = timedelta()
    attempt(tmp_path, store.attempt_name(name), "failed", 0.75)
    assert statuses(tmp_path) == {IDS[0]: "completed"}
    assert load_runs(tmp_path)["finished_at"].tolist() == [result]
    assert load_metrics(tmp_path)["train_loss"].tolist() == [0.25] * 3


def test_of_two_rows_of_a_segment_the_one_behind_counts(tmp_path: Path, clock: Clock) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    with Segment(tmp_path, store.attempt_name()) as segment:
        segment.finish([final(SPECS[0], "failed", error="the first", finished_at=timestamp())])
        clock.ahead = -timedelta(hours=1)
        segment.finish([final(SPECS[0], "failed", error="the second", finished_at=timestamp())])
    assert load_runs(tmp_path)["error"].tolist() == ["the second"]


@pytest.mark.parametrize("follows", [False, True])
def test_the_stack_that_was_begun_last_trains(tmp_path: Path, clock: Clock, follows: bool) -> None:
    """Also one that goes on from a checkpoint: it says when it began at first, which was before the one ahead of it."""
    followed = Segments(tmp_path)

    def look() -> dict[str, store.Pulse]:
        return pulses(followed if follows else Segments(tmp_path))

    enter_runs(tmp_path, SPECS, {}, {})
    with Segment(tmp_path, "one") as segment:
        segment.start(SPECS[:2], {**FACTS, "started_at": timestamp()})
        segment.evaluation(evaluations(SPECS[0])[:1])
        assert look().keys() == {*IDS[:2]}
        segment.finish([final(SPECS[0]), final(SPECS[1])])
        assert not look()
        clock.ahead = -timedelta(hours=1)
        began = timestamp()
        segment.start(SPECS[2:3], {**FACTS, "started_at": began})
        look()  # between two rows of a stack
        segment.start(SPECS[3:], {**FACTS, "started_at": began})
        assert look().keys() == {*IDS[2:]}
        rows = evaluations(SPECS[2])[:2]
        segment.evaluation(rows)
        seen = look()
        assert {seen[name].step for name in IDS[2:]} == {rows[-1]["step"]}
        assert {seen[name].began for name in IDS[2:]} == {datetime.fromisoformat(began).timestamp()}
        segment.finish([final(SPECS[3], finished_at=timestamp())])
        assert look().keys() == {IDS[2]}


def set_back(folder: Path, name: str, seconds: float) -> None:
    """Give the file that was written last the time that a clock has which went back."""
    written = time.time() - 3600 + seconds
    os.utime(folder / "segments" / name, (written, written))


@pytest.mark.parametrize("among", ["its files", "attempts"])
def test_a_living_task_is_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, among: str) -> None:
    """It writes on; what was written before the clock went back stays the newest by its time."""
    now, timeout = 0.0, 300.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(dispatch, "awake_seconds", AwakeClock(now))
    (spec, *_) = SPECS
    enter_runs(tmp_path, [spec], {}, {})
    tasks: Any = [SimpleNamespace(specs=(spec,), timeout=timeout, folder=tmp_path)]
    name = "one"
    if among == "attempts":
        with Segment(tmp_path, "dead") as dead:
            dead.start([spec], FACTS)
            dead.evaluation(evaluations(spec)[:1])
    late, silences = dispatch._Watch(tasks), Silences(Segments(tmp_path))
    with Segment(tmp_path, name) as segment:
        segment.start([spec], FACTS)
        if among == "attempts":
            set_back(tmp_path, "one.runs.csv", 0)
        for now in range(0, 3605, 5):
            if now < 2000 and now % 200 == 0:
                segment.evaluation([{**evaluations(spec)[0], "step": now}])
                set_back(tmp_path, "one.metrics.csv", now)
            silent, ended = silences.look(), late({0: float(now)})
            assert silent == {IDS[0]: now % 200 if now < 2000 else now - 1800}
            assert ended == ([0] if now > 1800 + timeout else [])
