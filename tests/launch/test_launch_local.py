"""What worker processes add: they die, they cannot be talked to, their parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.launch import Done
from bnbench.launch.crew import LATE
from bnbench.launch.processes import local, local_programs
from bnbench.launch.starting import METHOD
from tests.launch import tasks
from tests.products import long

ROOT = Path(__file__).resolve().parents[2]

BEGUN = """
import sys
from bnbench.launch import prestart
from bnbench.launch import Done
from bnbench.launch.crew import LATE
from bnbench.launch.processes import local
from tests.launch import tasks
prestart("wave")
print([done.value for done in local(tasks.imported, ["wave", "pdb"], 1)], "wave" in sys.modules)
"""

PARENT = """
import sys
from pathlib import Path
from bnbench.launch import Done
from bnbench.launch.crew import LATE
from bnbench.launch.processes import local
from tests.launch import tasks
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print("ready", flush=True)
    try:
        list(local(tasks.tell_and_wait, [folder] * 6, 3))
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


def test_a_worker_that_dies_after_its_task_loses_none() -> None:
    values = []
    for done in local(tasks.die, ["later", "live", "live"], 1):
        time.sleep(0.3)
        assert done.error is None
        values.append(done.value)
    assert len(values) == 3
    assert len(set(values)) == 2


def test_workers_that_cannot_start_are_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["bnbench.launch.starting"], "serve", tasks.serve_nobody)
    ends = list(local(tasks.square, [1, 2, 3], 2))
    assert sorted(done.index for done in ends) == [0, 1, 2]
    assert {done.error for done in ends} == {"the worker process ended with exit code 4"}


def test_workers_are_used_again_and_no_more_than_allowed() -> None:
    processes = [done.value for done in local(tasks.identify, range(12), 2)]
    assert os.getpid() not in processes
    assert 1 <= len(set(processes)) <= 2


@pytest.mark.skipif(METHOD != "forkserver", reason="imports in each worker")
def test_no_worker_looks_for_garbage_in_what_the_fork_server_has_imported() -> None:
    (done,) = local(tasks.searched_objects, [0], 1)
    assert done.value is not None and done.value < 10_000


def test_tasks_of_two_kinds_never_share_a_process() -> None:
    """Nor does it take more processes at a time than are allowed, nor more in all than there are kinds for each."""
    kinds = ["a", "b", "a", "b", "c", "a", "c", "b"]
    processes: dict[str, set[int]] = {}
    for done in local(tasks.ask_its_process, kinds, 2, lambda kind: kind):
        assert done.error is None
        processes.setdefault(kinds[done.index], set()).add(done.value)
    assert processes.keys() == {"a", "b", "c"}
    assert all(not processes[one] & processes[other] for one, other in ("ab", "ac", "bc"))
    assert all(len(own) <= 2 for own in processes.values())


def test_a_worker_has_one_place_and_shares_it_with_no_other() -> None:
    """One long task and many short ones: those go to the other workers, and no place is empty."""
    done = [done.value for done in local(tasks.where, [(1.5, -1)] + [(0.1, -1)] * 8, 3, placed=tasks.put)]
    places: dict[int, set[int]] = {}
    for process, place in done:
        places.setdefault(process, set()).add(place)
    assert sorted(map(sorted, places.values())) == [[0], [1], [2]]
    assert [place for _, place in done].count(0) == 1, "the long one was handed out first"


@pytest.mark.parametrize("dead", ["exit", "kill"])
def test_the_place_of_a_dead_worker_is_taken_again(dead: str) -> None:
    ends = list(local(tasks.die_at, [dead, "live", dead, "live", "live"], 2, placed=tasks.name_place))
    assert {done.value for done in ends if done.error is None} <= {0, 1}
    assert sum(done.error is None for done in ends) == 3


def test_a_spent_process_has_no_further_task() -> None:
    ends = sorted(local(tasks.spend, [1, 2, 3, 4, 5, 6], 1), key=lambda done: done.index)
    assert [(done.value[0], done.error) for done in ends] == [(number, None) for number in range(1, 7)]
    processes = [done.value[1] for done in ends]
    assert len(set(processes)) == 4 and processes[1] == processes[2] and processes[3] == processes[4]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", ["live", "die"])
def test_what_a_worker_has_started_ends_with_it(how: str) -> None:
    before, start = orphans(), time.monotonic()
    ends = list(local(tasks.leave_behind, [how, how], 1))
    assert time.monotonic() - start < 15
    error = "the worker process ended with exit code 3" if how == "die" else None
    assert [done.error for done in ends] == [error, error]
    wait_until(lambda: orphans() <= before, seconds=5)


def orphans() -> set[int]:
    """The processes that a worker has started, and that have outlived it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"forkserver" in words and parent == 1 and lives(int(process.name)):
            found.add(int(process.name))
    return found


@pytest.mark.skipif(METHOD != "forkserver", reason="workers import for themselves on this system")
def test_what_was_begun_is_imported_before_any_task() -> None:
    done = subprocess.run([sys.executable, "-c", BEGUN], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[True, False] False\n", "")


@pytest.mark.skipif(METHOD != "forkserver", reason="there is no fork server on this system")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its fork servers ask for a key")
def test_a_worker_that_starts_others_has_them_from_its_fork_server() -> None:
    (done,) = local_programs(tasks.start_others, [None], 1, print)
    assert done.error is None
    server, servers = done.value
    assert servers == {server}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_worker_of_workers_has_started_ends_with_it(tmp_path: Path) -> None:
    (done,) = local_programs(tasks.start_others, [tmp_path], 1, print)
    assert done.error == "the worker process ended with exit code 3"
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    wait_until(lambda: not any(map(lives, workers)), seconds=5)


def test_it_runs_outside_the_main_thread() -> None:
    values: list[int] = []
    thread = threading.Thread(target=lambda: values.extend(done.value for done in local(tasks.square, [2, 3], 1)))
    thread.start()
    thread.join(30)
    assert values == [4, 9]


SCRIPT = """
from bnbench.launch import Done
from bnbench.launch.crew import LATE
from bnbench.launch.processes import local
from tests.launch import tasks

print("begin", flush=True)
print(sorted(done.value for done in local(tasks.square, [1, 2, 3], 2)))
"""


@pytest.mark.parametrize("how", ["file", "stdin", "command"])
def test_a_script_needs_no_guard(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    words = {"file": [str(tmp_path / "script.py")], "stdin": ["-"], "command": ["-c", SCRIPT]}[how]
    done = subprocess.run(
        [sys.executable, *words], input=SCRIPT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("begin\n[1, 4, 9]\n", "", 0)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start_parent(folder: Path) -> subprocess.Popen[str]:
    """A program with three busy workers, in a process group of its own as under a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=long)])
def test_workers_die_with_their_program(tmp_path: Path, end: signal.Signals) -> None:
    with start_parent(tmp_path) as process:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
        workers = [int(path.name) for path in tmp_path.iterdir()]
        assert all(map(lives, workers))
        process.send_signal(end)
        wait_until(lambda: not any(map(lives, workers)), seconds=5)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "delay", [pytest.param(0.05, marks=long), 0.1, *(pytest.param(one, marks=long) for one in (0.15, 0.2)), None]
)
def test_an_interrupt_from_the_terminal_stops_all_quietly(tmp_path: Path, delay: float | None) -> None:
    with start_parent(tmp_path) as process:
        if delay is None:
            wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
        else:
            time.sleep(delay)  # the workers are about to import
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - start < 5
        assert (out, err, process.returncode) == ("stopped\n", "", 0)
        assert not any(lives(int(path.name)) for path in tmp_path.iterdir())


def test_a_task_that_is_called_late_is_ended_and_no_other(tmp_path: Path) -> None:
    """The first task ends at once; the others would take long."""
    numbers = [(tmp_path, number) for number in (0, 1, 0)]
    late = lambda in_hand: [index for index, seconds in in_hand.items() if index == 1 and seconds > 1]  # noqa: E731
    ends = {done.index: done for done in local(tasks.mark, numbers, 1, waited=late)}
    assert ends == {0: Done(0, 0), 1: Done(1, None, LATE, is_late=True), 2: Done(2, 0)}
    assert (tmp_path / "started-1").exists() and not (tmp_path / "ended-1").exists()
