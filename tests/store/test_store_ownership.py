"""The segments that count: the owner's, and all that an earlier one wrote before it lost the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench.errors import TakenOver
from bnbench.spec import run_id
from bnbench.store import (
    Hold,
    Piece,
    ResultIndex,
    Segment,
    Segments,
    enter_runs,
    join,
    lease,
    load_metrics,
    load_runs,
    locked,
    pulses,
    put_down,
    renew,
    statuses,
)
from bnbench.store.ownership import enter_owner, read_owner
from tests.store.sweeps import FACTS, expected_metrics, make_spec, train
from tests.store.test_store_lease import SECONDS, elsewhere, says_held

SPECS = [make_spec(seed) for seed in range(3)]
LATE = """
import bnbench.store.segment as module
from bnbench.store import enter_runs
from tests.store.sweeps import make_spec, train
specs, real, check = [make_spec(seed) for seed in range(3)], module.make_part, module.check_owner

with locked(folder) as hold:
    join(folder, hold)
    enter_runs(folder, specs, {}, {"command": "bnbench sweep"})
    train(folder, specs[0], "first", second=10, token=hold.token)

    def waiting(place, name):
        if name == "segments":
            print("held", flush=True)
            sys.stdin.readline()
        return real(place, name)

    module.make_part, module.check_owner = waiting, lambda *_: None
    train(folder, specs[1], "second", second=50, token=hold.token)
    print("written", flush=True)
    module.check_owner = check
    sys.stdin.readline()
    train(folder, specs[2], "third", second=50, token=hold.token)
"""
"""It has finished a run, and is stopped as it begins the segment of another one. What others have written meanwhile it
sees only after that, as on a network file system that shows it late."""
LAST = "0" * 32


@pytest.fixture(autouse=True)
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", SECONDS)


def finished(folder: Path) -> dict[int, int]:
    """By seed, the second in which each result was written, which tells by whom."""
    runs = load_runs(folder)
    done = runs[runs["status"] == "completed"]
    return dict(zip(done["seed"].astype(int), done["finished_at"].str[17:19].astype(int), strict=True))


def written(process: subprocess.Popen[str]) -> None:
    """Let a program that is stopped go on, and finish its run."""
    assert process.stdin is not None and process.stdout is not None
    os.kill(process.pid, signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"


def test_what_a_late_holder_writes_does_not_count_and_what_it_wrote_in_time_does(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    with elsewhere("there", folder, LATE) as late:
        assert says_held(late)
        os.kill(late.pid, signal.SIGSTOP)
        time.sleep(SECONDS + 0.5)
        with locked(folder) as hold:
            join(folder, hold)
            assert finished(folder) == {0: 10}
            train(folder, SPECS[1], "ours", second=20, token=hold.token)
            written(late)
            assert finished(folder) == {0: 10, 1: 20}, "to who reads meanwhile as well"
            assert ResultIndex(tmp_path).find([run_id(SPECS[2])], tmp_path) == {}
            assert not pulses(Segments(folder))
            train(folder, SPECS[2], "ours-too", second=20, token=hold.token)
        _, err = late.communicate("\n", timeout=30)
        assert late.returncode == 1 and f"TakenOver: {folder} was taken over by another bnbench" in err
    with locked(folder) as hold:
        join(folder, hold)  # the one before ended without
    assert finished(folder) == {0: 10, 1: 20, 2: 20}
    assert load_metrics(folder).sort_values(["run_id", "step"], ignore_index=True).equals(expected_metrics(SPECS))


def test_a_segment_of_nobody_in_particular_counts(tmp_path: Path) -> None:
    """Those of earlier versions have no token, and their sweeps no owner."""
    enter_runs(tmp_path, SPECS, {}, {"command": "bnbench sweep"})
    train(tmp_path, SPECS[0], "one")
    train(tmp_path, SPECS[1], "two", token=LAST)  # of a sweep that was copied without its hidden files
    assert sorted(finished(tmp_path)) == [0, 1]
    with locked(tmp_path) as hold:
        join(tmp_path, hold)
        train(tmp_path, SPECS[2], "three")
        join(tmp_path, hold)
    assert sorted(finished(tmp_path)) == [0, 1, 2]


def test_a_late_holder_changes_no_file_that_a_run_has_one_of(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS, {}, {"command": "bnbench sweep"})
    with locked(tmp_path) as hold:
        join(tmp_path, hold)
        segment = Segment(tmp_path, "one", token=hold.token)
    with segment, locked(tmp_path) as next_hold:
        enter_owner(tmp_path, read_owner(tmp_path), next_hold)
        name = run_id(SPECS[0])
        with pytest.raises(TakenOver):
            segment.start(SPECS[:1], FACTS)
        with pytest.raises(TakenOver):
            segment.weights(name, b"")
        with pytest.raises(TakenOver):
            segment.log(name, "")
        with pytest.raises(TakenOver):
            put_down(tmp_path, (Piece("logs", f"{name}.log", 0, b"", is_last=True),), hold.token)
    assert not [path for part in ("specs", "weights", "logs") for path in (tmp_path / part).glob("*")]
    assert set(statuses(tmp_path).values()) == {"planned"}


def test_of_two_next_owners_the_one_that_has_slept_is_refused(tmp_path: Path) -> None:
    """It was stopped behind its last look at the lease."""
    first, second, third = (Hold(token=digit * 32) for digit in "123")
    enter_owner(tmp_path, read_owner(tmp_path), first)
    seen = read_owner(tmp_path)
    enter_owner(tmp_path, seen, second)
    with pytest.raises(TakenOver):
        enter_owner(tmp_path, seen, third)
    assert read_owner(tmp_path).token == second.token
    enter_owner(tmp_path, read_owner(tmp_path), third)
    enter_owner(tmp_path, seen, first)  # its number is free again, and is not the last one
    assert read_owner(tmp_path).token == third.token


def test_an_owner_that_a_crash_has_left_without_a_token_has_no_segments(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS, {}, {"command": "bnbench sweep"})
    (tmp_path / ".owner-4").touch()
    train(tmp_path, SPECS[0], "one")
    with pytest.raises(TakenOver):
        train(tmp_path, SPECS[1], "two", token=LAST)
    with locked(tmp_path) as hold:
        join(tmp_path, hold)
        train(tmp_path, SPECS[2], "three", token=hold.token)
    assert sorted(finished(tmp_path)) == [0, 2] and [path.name for path in tmp_path.glob(".owner*")] == [".owner-5"]


def _lost_at(monkeypatch: pytest.MonkeyPatch, place: Path) -> Hold:
    """A hold that is lost at the moment when a table's new content is written whole, and not yet in place."""
    lost: list[bool] = []

    def check() -> None:
        if lost:
            raise TakenOver(place, "there")

    def sync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        real(descriptor)
        if ".csv." in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            lost.append(True)

    monkeypatch.setattr(os, "fsync", sync)
    return Hold(check)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to name open files by")
@pytest.mark.parametrize("does", ["enter", "renew", "join"])
def test_a_table_that_was_being_written_when_another_took_over_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    older, newer = (replace(make_spec(0), plugin=name * 12) for name in "ab")
    enter_runs(tmp_path, [older, newer], {}, {})
    if does == "join":
        train(tmp_path, older, "one")
    before = (tmp_path / "runs.csv").read_bytes()
    hold = _lost_at(monkeypatch, tmp_path)
    with pytest.raises(TakenOver):
        if does == "enter":
            enter_runs(tmp_path, [make_spec(7)], {}, {}, hold=hold)
        elif does == "renew":
            renew(tmp_path, [newer], hold)  # the older one came last
        else:
            join(tmp_path, hold)
    assert (tmp_path / "runs.csv").read_bytes() == before and not list(tmp_path.glob(".runs.csv.*"))
