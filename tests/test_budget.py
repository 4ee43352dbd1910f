"""The tests are within their budget, and a folder that is not is named with its slowest tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.budget import TABLE, _ended, cpu_seconds, overruns

TESTS = {
    "tests/cli/test_a.py::test_one[a/b]": 3.0,
    "tests/cli/test_b.py::test_two": 4.0,
    "tests/test_c.py::test_three": 2.0,
}


@pytest.mark.parametrize(
    ("tolerance", "folders"), [(1.0, ["tests/.", "tests/cli"]), (1.5, ["tests/.", "tests/cli"]), (2.0, [])]
)
def test_a_folder_over_its_budget_is_named_with_its_slowest_tests(tolerance: float, folders: list[str]):
    found = overruns(TESTS, {"cli": 4.0, ".": 1.0}, tolerance)
    assert [text.partition(":")[0] for text in found] == folders
    assert not folders or found[-1].splitlines()[1:] == ["  4.0 " + "tests/cli/test_b.py::test_two",
                                                         "  3.0 " + "tests/cli/test_a.py::test_one[a/b]"]  # fmt: skip


def test_a_folder_without_a_budget_is_over_it():
    (problem,) = overruns(TESTS, {".": 9.0}, 2.0)
    assert problem.startswith("tests/cli: 7 CPU seconds, and 0 are allowed: 0 by tests/budget.toml")


def test_every_folder_has_a_budget_and_all_are_ten_minutes_on_two_cores():
    here = Path(__file__).parent
    folders = {path.parent.name for path in here.glob("*/test_*.py")} | {"."}
    assert folders == set(TABLE["seconds"]) and folders >= set(TABLE["long"])
    assert sum(TABLE["seconds"].values()) <= 1000


def test_seconds_are_compared_with_those_of_this_machine():
    """A number of seconds that holds on one machine says nothing on a slower one."""
    files = Path(__file__).parent.rglob("test_*.py")
    timed = {path for path in files if re.search("process_time\\(|RUSAGE_CHILDREN", path.read_text())}
    assert len(timed) > 8 and all("slowness()" in path.read_text() for path in timed)


BURNS = """
import subprocess, sys, time
while time.process_time() < 0.5:
    pass
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
    print("done", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_processes_below_this_one_take_counts_once_while_they_live_and_after():
    before = cpu_seconds()
    words = [sys.executable, "-c", BURNS, BURNS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"done\n"
        while_it_lives = cpu_seconds() - before
    assert 0.9 <= while_it_lives < 1.4
    assert while_it_lives - 0.05 <= cpu_seconds() - before < 1.5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_nobody_has_waited_for_counts_once_and_is_read_once():
    words = [sys.executable, "-c", BURNS]
    before = cpu_seconds()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert [0.45 <= cpu_seconds() - before < 0.9 for _ in range(3)] == [True] * 3
        assert process.pid in _ended
    assert 0.45 <= cpu_seconds() - before < 1.0
    assert process.pid not in _ended


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_hundreds_that_nobody_has_waited_for_cost_next_to_nothing():
    """What is asked thrice per test is not to be what tests take."""
    left = [process for _ in range(200) if (process := os.posix_spawn("/bin/true", ["true"], {}))]
    for process in left:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    cpu_seconds()
    before = time.process_time()
    for _ in range(10):
        cpu_seconds()
    taken = time.process_time() - before
    for process in left:
        os.waitpid(process, 0)
    assert taken < 0.1, "some milliseconds; 0.4 seconds where all are read each time"
