"""Processes that train a run together: whatever becomes of one, all end, and the first failure is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from bnbench.launch import Line, local
from bnbench.members import Failure, Seat, carry_out_together
from bnbench.plan import ALONE
from bnbench.tasks import Task
from bnbench.training.distributed import Member, join
from tests import warm
from tests.conftest import make_spec


def task_of(way: str, folder: Path) -> Task:
    return Task((make_spec("devices=3", "batch_size=6"),), ALONE, folder, way, folder, None, "cpu", "")


def behave(seat: Seat, line: Line) -> str:
    """The first process comes to a value, and the second does what the session's name says."""
    way = seat.task.session
    join(Member(seat.rank, 3), seat.port, torch.device("cpu"))
    (seat.task.folder / str(os.getpid())).touch()
    torch.distributed.barrier()
    if seat.rank == 0:
        line("begun")
    if seat.rank == 1:
        match way:
            case "raises":
                raise ValueError("one of its own")
            case "runs out of memory":
                raise MemoryError("too large")
            case "leaves":
                raise SystemExit(3)
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "ends":
                os._exit(7)
            case "waits":
                time.sleep(3600)
    if way != "ends well" or seat.rank == 2:
        torch.distributed.barrier()  # which never comes to its end
    return f"{seat.rank} of {torch.distributed.get_world_size()}"


def together(way: str, folder: Path) -> tuple[object, list[str]]:
    told: list[str] = []
    return carry_out_together(behave, task_of(way, folder), 3, told.append), told


@pytest.mark.parametrize(
    ("way", "status", "error", "log"),
    [
        ("raises", "failed", "ValueError: one of its own", 'raise ValueError("one of its own")'),
        ("runs out of memory", "out_of_memory", "MemoryError: too large", "raise MemoryError"),
        ("leaves", "failed", "SystemExit: 3", "raise SystemExit(3)"),
        ("dies", "failed", "the worker process was ended by SIGKILL", "It was process 2 of 3 of this run."),
        ("ends", "failed", "the worker process ended with exit code 7", "It was process 2 of 3 of this run."),
    ],
)
def test_the_failure_of_one_ends_all_and_is_told(tmp_path: Path, way: str, status: str, error: str, log: str):
    start, before = time.monotonic(), warm.living()
    failure, told = together(way, tmp_path)
    assert isinstance(failure, Failure) and told == ["begun"]
    assert failure.status == status and failure.error.startswith(error) and log in failure.log
    assert time.monotonic() - start < 60
    check_ended(tmp_path, before)


def test_the_value_of_the_first_is_that_of_all_whatever_the_others_do(tmp_path: Path):
    before = warm.living()
    assert together("ends well", tmp_path) == ("0 of 3", ["begun"])
    check_ended(tmp_path, before)


def test_a_worker_has_such_processes_too_and_none_outlives_it(tmp_path: Path):
    before = warm.living()
    tasks = [task_of("raises", tmp_path), task_of("waits", tmp_path)]
    for done in local(work, tasks, 1, waited=lambda in_hand: [index for index in in_hand if is_waiting(tmp_path)]):
        assert done.is_late if done.index else done.value == "ValueError: one of its own", done
    check_ended(tmp_path, before)
    assert len(list(tmp_path.iterdir())) == 6


def work(task: Task) -> str:
    failure = carry_out_together(behave, task, 3, lambda word: None)
    assert isinstance(failure, Failure)
    return failure.error


def is_waiting(folder: Path) -> bool:
    return len(list(folder.iterdir())) == 6


def check_ended(folder: Path, before: set[int]) -> None:
    """No process is left of those that have left their number in a folder."""
    members = {int(path.name) for path in folder.iterdir()}
    assert len(members) >= 3
    deadline = time.monotonic() + 10
    while left := members & warm.living():
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
