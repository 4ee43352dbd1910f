"""A join or entry of runs that stops at any step leaves a folder that reads the same, and the next completes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, join, list_checkpoints, load_metrics, load_probes, load_runs, statuses
from bnbench.store.checkpoints import ENDING
from tests.products import long
from tests.store.sweeps import make_spec, train

STEPS = ("replace", "rename", "unlink", "rmdir", "fsync", "open", "mkdir")
SPECS = [make_spec(seed) for seed in range(6)]


class Crash(BaseException):
    """The end of the program."""


@contextmanager
def crash_at(number: int, after: bool) -> Iterator[None]:
    """Stop before or after the system call of this number, counted over all STEPS."""
    calls = count(1)

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            stop = next(calls) == number
            if stop and not after:
                raise Crash
            try:
                return call(*arguments, **options)
            finally:
                if stop:
                    raise Crash

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for step in STEPS:
            patch.setattr(os, step, wrap(getattr(os, step)))
        yield


@contextmanager
def before_read(number: int, action: Callable[[], None]) -> Iterator[None]:
    """Do something before the file of this number is read."""
    original, calls = Path.read_bytes, count(1)

    def read_bytes(path: Path) -> bytes:
        if next(calls) == number:
            action()
        return original(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        yield


def fill(folder: Path) -> None:
    """A sweep with runs of every kind: joined and not, repeated, failed, killed, told dead by another segment."""
    enter_runs(folder, SPECS[:5], {}, {})
    train(folder, SPECS[0], "a", "completed", second=1)
    train(folder, SPECS[1], "a", "failed", second=1)
    train(folder, SPECS[2], "b", "running")
    join(folder)
    train(folder, SPECS[0], "d", "failed", second=2)
    train(folder, SPECS[1], "d", "completed", second=2)
    train(folder, SPECS[2], "e", "running")
    train(folder, SPECS[3], "f", "running")
    with Segment(folder, "c") as segment:
        segment.finish([{"run_id": run_id(SPECS[3]), "status": "failed", "error": "killed"}])


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=long)])
def test_a_join_that_stops_anywhere(tmp_path: Path, after: bool) -> None:
    for number in count(1):
        folder = tmp_path / str(number)
        fill(folder)
        runs, metrics, probes = load_runs(folder), load_metrics(folder), load_probes(folder)
        try:
            with crash_at(number, after):
                join(folder)
        except Crash:
            pass
        else:
            break
        pd.testing.assert_frame_equal(load_runs(folder), runs)
        pd.testing.assert_frame_equal(load_metrics(folder), metrics)
        pd.testing.assert_frame_equal(load_probes(folder), probes)
        join(folder)
        pd.testing.assert_frame_equal(load_runs(folder), runs)
        pd.testing.assert_frame_equal(load_metrics(folder), metrics)
        pd.testing.assert_frame_equal(load_probes(folder), probes)
        left = {path.name for path in folder.iterdir()}
        assert left == {"runs.csv", "metrics.csv", "probes.csv", "sweep.yaml", "specs", ".writers"}
    assert number > 12


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=long)])
def test_a_plan_that_stops_anywhere(tmp_path: Path, after: bool) -> None:
    for number in count(1):
        folder = tmp_path / str(number)
        fill(folder)
        known, metrics = statuses(folder), load_metrics(folder)
        try:
            with crash_at(number, after):
                enter_runs(folder, SPECS, {}, {"second": 2})
        except Crash:
            pass
        else:
            break
        assert statuses(folder) in (known, {**known, run_id(SPECS[5]): "planned"})
        pd.testing.assert_frame_equal(load_metrics(folder), metrics)
        enter_runs(folder, SPECS, {}, {"second": 2})
        assert statuses(folder) == {**known, run_id(SPECS[5]): "planned"}
        pd.testing.assert_frame_equal(load_metrics(folder), metrics)
    assert number > 4


@long
def test_a_reader_whose_segments_are_joined_at_any_step_of_its_reading(tmp_path: Path) -> None:
    """The join comes in between, before each file that the reader opens."""
    for number in count(1):
        folder = tmp_path / str(number)
        fill(folder)
        loads = (load_runs, load_metrics, load_probes)
        expected = [load(folder) for load in loads]
        for load, table in zip(loads, expected, strict=True):
            with before_read(number, partial(join, folder)):
                pd.testing.assert_frame_equal(load(folder), table)
        if (folder / "segments").exists():
            break
    assert number > 7


def test_a_checkpoint_that_goes_while_all_are_listed_is_left_out(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / f"gone{ENDING}").symlink_to("nowhere")
    assert list(list_checkpoints(tmp_path)) == []
