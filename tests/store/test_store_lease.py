"""Two programs on two machines whose file system carries no locks: one of them at a time adds to a sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnbench.errors import BnbenchError
from bnbench.notices import heard
from bnbench.spec import run_id
from bnbench.store import change_tag, enter_runs, is_locked, join, lease, lock, locked, read_tags
from bnbench.store.ownership import OWNER
from tests.store.sweeps import make_spec, train

ELSEWHERE = """
import fcntl, socket, sys, time
from pathlib import Path
fcntl.flock = lambda *_: None
socket.gethostname = lambda: {host!r}
from bnbench.store import join, lease, locked
lease.LEASE_SECONDS = {seconds}
folder = Path({folder!r})
{program}
"""
"""A program on a machine of another name, with a lease that is soon over."""
HOLD = """
with locked(folder) as check_there:
    print("held", flush=True)
    sys.stdin.readline()
    join(folder, check_there)
    check_there()
"""
TAKE = """
try:
    with locked(folder):
        print("held", flush=True)
        time.sleep(8)
except Exception as error:
    print(error)
"""
PAUSED = """
from contextlib import contextmanager
from bnbench.store import merge_sweeps, remove_runs, remove_sweep, rename_sweep
import bnbench.store.{module} as module
real = module.nobody_writing

@contextmanager
def pausing(there):
    with real(there):
        print("held", flush=True)
        sys.stdin.readline()
        yield

module.nobody_writing = pausing
{call}
"""
"""A command that waits for a line in the middle of its work."""
TAG = """
import bnbench.store.tags as module
real = module.read_tags

def pausing(there):
    print("held", flush=True)
    sys.stdin.readline()
    return real(there)

module.read_tags = pausing
module.change_tag(folder, ["0123456789ab"], "theirs")
"""
SECONDS = 2.0


def elsewhere(host: str, folder: Path, program: str = HOLD) -> subprocess.Popen[str]:
    code = ELSEWHERE.format(host=host, seconds=SECONDS, folder=str(folder), program=program)
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def says_held(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "held\n"


@pytest.fixture(autouse=True)
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", SECONDS)


def test_a_sweep_that_another_machine_holds_is_in_use_as_long_as_it_lives(tmp_path: Path) -> None:
    with elsewhere("there", tmp_path) as process:
        assert says_held(process)
        for _ in range(2):
            assert is_locked(tmp_path)
            with pytest.raises(BnbenchError, match="in use by another bnbench on there; wait"), locked(tmp_path):
                pass
            time.sleep(SECONDS + 0.5)  # it is renewed meanwhile
        _, err = process.communicate("\n", timeout=30)
    assert (process.returncode, err) == (0, "")
    assert not is_locked(tmp_path) and not (tmp_path / lease.LEASE).exists()
    with locked(tmp_path):
        pass


def test_the_lease_of_a_machine_that_died_is_over_after_its_time(tmp_path: Path) -> None:
    with elsewhere("there", tmp_path) as process:
        assert says_held(process)
        process.kill()
    time.sleep(SECONDS + 0.5)
    assert not is_locked(tmp_path)
    start, said = time.monotonic(), []
    with heard(said.append), locked(tmp_path):
        assert SECONDS <= time.monotonic() - start < SECONDS + 5
    assert len(said) == 1 and "was held by a bnbench on there, which seems to be dead" in said[0]


def test_that_of_a_program_of_this_machine_that_died_is_over_at_once(tmp_path: Path) -> None:
    imports = "import sys; from pathlib import Path; from bnbench.store import locked, join"
    code = f"{imports}; folder = Path({str(tmp_path)!r}){HOLD}"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as process:
        assert says_held(process)
        process.kill()
    assert (tmp_path / lease.LEASE).exists() and not is_locked(tmp_path)
    start = time.monotonic()
    with locked(tmp_path):
        assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("words", ["", "17", "17\nthere\n1"])
def test_one_that_died_while_it_wrote_the_file_is_not_waited_for(tmp_path: Path, words: str) -> None:
    (tmp_path / lease.LEASE).write_text(words)
    start = time.monotonic()
    with locked(tmp_path) as check_there:
        assert time.monotonic() - start > 2.0  # a program on another machine may be about to write
        check_there()
    assert not (tmp_path / lease.LEASE).exists()


def test_a_program_that_was_stopped_for_too_long_writes_nothing_more(tmp_path: Path) -> None:
    with elsewhere("there", tmp_path) as late:
        assert says_held(late)
        os.kill(late.pid, signal.SIGSTOP)
        time.sleep(SECONDS + 0.5)
        with elsewhere("here", tmp_path) as second:
            assert says_held(second)
            (tmp_path / "segments").mkdir()
            os.kill(late.pid, signal.SIGCONT)
            _, err = late.communicate("\n", timeout=30)
            assert late.returncode == 1 and f"TakenOver: {tmp_path} was taken over by another bnbench on here" in err
            assert (tmp_path / "segments").is_dir() and not (tmp_path / "runs.csv").exists()
            _, err = second.communicate("\n", timeout=30)
            assert (second.returncode, err) == (0, "")
    assert (tmp_path / "runs.csv").exists() and not is_locked(tmp_path)


def content(results: Path) -> dict[str, bytes]:
    """All files of sweeps and of the trash but those by which they are held."""
    files = (path for path in results.rglob("*") if path.is_file())
    held = (lease.LEASE, ".lock", ".writers")
    kept = (path for path in files if path.name not in held and not path.name.startswith(OWNER))
    return {str(path.relative_to(results)): path.read_bytes() for path in kept}


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("trash", "remove_runs(folder, [{identity!r}])"),
        ("trash", "remove_sweep(folder)"),
        ("renaming", "rename_sweep(folder, 'other')"),
        ("merging", "merge_sweeps([folder.parent / 'source'], folder, {{}})"),
    ],
)
def test_a_command_that_was_stopped_for_too_long_changes_nothing_more(tmp_path: Path, module: str, call: str) -> None:
    """What it has copied into the trash before that stays there; what others hold is as it was."""
    folder, specs = tmp_path / "s", [make_spec(seed) for seed in range(3)]
    for place, its in ((folder, specs[:2]), (tmp_path / "source", specs[2:])):
        enter_runs(place, its, {}, {"command": "bnbench sweep"})
        for spec in its:
            train(place, spec, f"worker{spec.seed}")
        join(place)
    before = content(tmp_path)
    written = call.format(identity=run_id(specs[0]))
    with elsewhere("there", folder, PAUSED.format(module=module, call=written)) as late:
        assert says_held(late)
        os.kill(late.pid, signal.SIGSTOP)
        time.sleep(SECONDS + 0.5)
        with elsewhere("here", folder) as second:
            assert says_held(second)
            os.kill(late.pid, signal.SIGCONT)
            _, err = late.communicate("\n", timeout=30)
            assert late.returncode == 1 and f"TakenOver: {folder} was taken over by another bnbench on here" in err
            now = content(tmp_path)
            assert {name: now.get(name) for name in before} == before
            assert all(name.startswith(".trash/") for name in now.keys() - before.keys())
            _, err = second.communicate("\n", timeout=30)
            assert (second.returncode, err) == (0, "")


def test_of_two_who_wait_for_a_dead_one_only_one_has_it(tmp_path: Path) -> None:
    with elsewhere("there", tmp_path) as process:
        assert says_held(process)
        process.kill()
    time.sleep(SECONDS + 0.5)
    waiting = [elsewhere(f"host{number}", tmp_path, TAKE) for number in range(3)]
    said = [process.communicate(timeout=60)[0] for process in waiting]
    assert sum(words.startswith("held") for words in said) == 1, said
    assert sum("is in use by another bnbench on host" in words for words in said) == 2, said


def test_tags_are_given_by_one_machine_at_a_time_while_another_one_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "TAGGERS_PATIENCE", 0.2)
    name = "0123456789ab"
    with locked(tmp_path), elsewhere("there", tmp_path, TAG) as process:
        assert says_held(process)
        with pytest.raises(BnbenchError, match="being changed by another bnbench on there; try again"):
            change_tag(tmp_path, [name], "ours")
        _, err = process.communicate("\n", timeout=30)
        assert (process.returncode, err) == (0, "")
        change_tag(tmp_path, [name], "ours")
    assert read_tags(tmp_path) == {name: ["theirs", "ours"]}


def test_tags_are_not_changed_by_a_program_that_was_stopped_for_too_long(tmp_path: Path) -> None:
    name = "0123456789ab"
    with elsewhere("there", tmp_path, TAG) as late:
        assert says_held(late)
        os.kill(late.pid, signal.SIGSTOP)
        time.sleep(SECONDS + 0.5)
        change_tag(tmp_path, [name], "ours")
        os.kill(late.pid, signal.SIGCONT)
        _, err = late.communicate("\n", timeout=30)
        assert late.returncode == 1 and "TakenOver" in err
    assert read_tags(tmp_path) == {name: ["ours"]}
