"""What jobs add: they are interrupted and go on, they outlive the program, Slurm refuses them."""

from __future__ import annotations

import os
import platform
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bnbench.environment import decisive_versions
from bnbench.errors import BnbenchError
from bnbench.launch import LAUNCHERS, Done, Request, read_settings
from bnbench.launch.errands import Errand, errands_in
from bnbench.launch.slurm_launcher import ERRANDS, FOLDER
from bnbench.launch.slurm_settings import SlurmSettings, check_accepted, slurm_problems
from tests.launch import tasks
from tests.launch.conftest import opened
from tests.launch.test_launch_local import lives, wait_until

pytest.importorskip("submitit", reason="it is not installed: pip install 'bnbench[slurm]'")

REFUSAL = """#!/bin/sh
echo "sbatch: error: invalid partition specified: nowhere" >&2
echo "allocation failure: Invalid partition name specified" >&2
exit 1
"""
"""The answer of Slurm 22.05 to a partition that there is not."""


def jobs_of(folder: Path) -> list[str]:
    return [errand.job or "" for errand in errands_in(folder / FOLDER / ERRANDS)]


def tree(process: int) -> list[int]:
    """A process and all below it, itself last."""
    children = [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(path) == process]
    return [*(one for child in children for one in tree(child)), process]


def parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interrupted_job_is_requeued_and_goes_on(tmp_path: Path) -> None:
    """Its processes all get the signals by which Slurm warns them; those of other attempts are told once."""
    heard: list[int] = []

    def interrupt() -> None:
        (controller,) = map(int, jobs_of(tmp_path))
        for number in (signal.SIGTERM, signal.SIGUSR2):
            for process in tree(controller)[:-1]:
                os.kill(process, number)

    def look() -> None:
        wait_until(lambda: heard == [0, 1], seconds=60)
        interrupt()

    interrupter = threading.Thread(target=look)
    interrupter.start()
    with opened("slurm", tmp_path) as site:
        ends = list(site.launch(tasks.count_on, [4], 1, heard=heard.append))
    interrupter.join()
    assert (heard, ends) == ([0, 1, 2, 3], [Done(0, 4)])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("requeues", [0, 1])
def test_a_task_keeps_what_it_has_before_its_job_goes(tmp_path: Path, requeues: int) -> None:
    """The signal is answered a second late; the last attempt that there may be is warned as well."""
    heard: list[int] = []

    def interrupt() -> None:
        wait_until(lambda: heard == [0], seconds=60)
        (controller,) = map(int, jobs_of(tmp_path))
        for process in tree(controller)[:-1]:
            os.kill(process, signal.SIGUSR2)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with opened("slurm", tmp_path, "launcher.time=8", f"launcher.requeues={requeues}") as site:
        (done,) = site.launch(tasks.keep_when_warned, [1.0], 1, heard=heard.append)
    interrupter.join()
    given_up = Done(0, None, "its job was interrupted more often than launcher.requeues allows", is_given_up=True)
    assert (heard, done) == ([0, 1], given_up if requeues == 0 else Done(0, 2))


def detached(folder: Path, numbers: list[int], function: Callable[..., int] = tasks.count_up) -> list[Done]:
    settings = read_settings("slurm", SlurmSettings, ["launcher.cluster=local"])
    launcher = LAUNCHERS["slurm"]
    assert launcher.open is not None
    with launcher.open(Request(settings, folder=folder, detaches=True)) as site:
        return list(site.launch(function, [*site.tasks, *numbers], 4, heard=lambda number: None))


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_what_is_left_to_jobs_is_collected_and_not_begun_again(tmp_path: Path) -> None:
    """The second call has the two tasks of the first, one that it adds itself, and what all of them tell, once."""
    assert detached(tmp_path, [2, 1]) == []
    before = jobs_of(tmp_path)
    assert len(before) == 2
    heard: list[int] = []
    with opened("slurm", tmp_path) as site:
        assert sorted(site.tasks) == [1, 2]
        ends = list(site.launch(tasks.count_up, [*site.tasks, 3], 2, heard=heard.append))
    assert sorted(done.value for done in ends) == [1, 2, 3]
    assert sorted(heard) == [0, 0, 0, 1, 1, 2]
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_job_that_died_with_its_machine_is_told(tmp_path: Path) -> None:
    """Its controller is killed, so that nobody leaves an end."""
    assert detached(tmp_path, [3], tasks.count_on) == []
    (controller,) = map(int, jobs_of(tmp_path))
    for process in reversed(tree(controller)):
        os.kill(process, signal.SIGKILL)
    with opened("slurm", tmp_path) as site:
        (done,) = site.launch(tasks.count_on, site.tasks, 1)
    assert done.value is None and "ended without a result" in str(done.error)


def test_a_machine_with_other_versions_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job does not even unpickle the task; both versions are named."""
    there = decisive_versions()
    monkeypatch.setattr("bnbench.launch.errands.decisive_versions", lambda: {**there, "torch": "1.0"})
    with opened("slurm", tmp_path) as site:
        (done,) = site.launch(tasks.mark, [(tmp_path, 0)], 1)
    told = f"node {platform.node()}: torch {there['torch']} there, 1.0 here; install the same"
    assert done == Done(0, None, told) and not (tmp_path / "started-0").exists()


def test_closing_ends_the_jobs(tmp_path: Path) -> None:
    with (
        opened("slurm", tmp_path) as site,
        closing(site.launch(tasks.mark, [(tmp_path, 0), (tmp_path, 1)], 2)) as ends,  # type: ignore[type-var]
    ):
        assert next(ends) == Done(0, 0)
        wait_until((tmp_path / "started-1").exists)
        processes = [one for job in jobs_of(tmp_path) for one in tree(int(job))]
    assert len(processes) > 2 and not (tmp_path / FOLDER).exists()
    wait_until(lambda: not any(map(lives, processes)), seconds=5)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_what_was_not_collected_is_there_for_the_next_program(tmp_path: Path) -> None:
    """This one is stopped once it has the first of two ends."""
    heard: list[int] = []
    with (
        opened("slurm", tmp_path) as site,
        closing(site.launch(tasks.count_up, [1, 2], 2, heard=heard.append)) as ends,  # type: ignore[type-var]
    ):
        first = next(ends)
        wait_until(lambda: all((one.folder / "end").exists() for one in errands_in(tmp_path / FOLDER / ERRANDS)))
    with opened("slurm", tmp_path) as site:
        (task,) = site.tasks
        (done,) = site.launch(tasks.count_up, site.tasks, 1, heard=heard.append)
    assert {first.value, done.value} == {1, 2} and done.value == task
    assert sorted(heard) == [0, 0, 1] and not (tmp_path / FOLDER).exists()


def test_what_a_full_disk_takes_no_more_of_is_not_told_in_part(tmp_path: Path) -> None:
    errand, limits = Errand(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    errand.tell("first")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # as a disk that is nearly full
        with pytest.raises(OSError, match="large"):
            errand.tell("x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    errand.tell("last")
    assert [value for value, _ in errand.told()] == ["first", "last"]


@pytest.fixture
def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands of Slurm that refuse."""
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(REFUSAL)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield


def test_what_slurm_refuses_is_said_in_one_sentence(refusing: None) -> None:
    settings = read_settings("slurm", SlurmSettings, ["launcher.partition=nowhere"])
    assert not slurm_problems(settings)
    with pytest.raises(BnbenchError) as refused:
        check_accepted(settings)
    assert str(refused.value) == ("--launcher slurm: sbatch refuses: invalid partition specified: nowhere")


def test_without_slurm_it_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    start = time.monotonic()
    (problem,) = slurm_problems(read_settings("slurm", SlurmSettings))
    assert "there is no sbatch and no srun here" in problem and time.monotonic() - start < 5


def test_errands_of_others_are_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detached_folder = tmp_path / "errand"
    detached_folder.mkdir()
    for name in ("task", "job"):
        (detached_folder / name).write_bytes(b"")
    assert len(errands_in(tmp_path)) == 1
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not errands_in(tmp_path)
