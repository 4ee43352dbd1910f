"""Which GPUs runs on several devices have, and how many of them train side by side."""

from __future__ import annotations

import pytest

from bnbench.plan import Resources
from bnbench.session.execution import first_devices


@pytest.mark.parametrize(
    ("used", "devices", "firsts"),
    [
        (["cpu"], 1, ["cpu"]),
        (["cpu"], 3, ["cpu"]),
        (["cuda:1"], 1, ["cuda:1"]),
        (["cuda:0", "cuda:1", "cuda:2"], 1, ["cuda:0", "cuda:1", "cuda:2"]),
        (["cuda:0", "cuda:1", "cuda:2"], 2, ["cuda:0"]),
        (["cuda:0", "cuda:1", "cuda:2", "cuda:3"], 2, ["cuda:0", "cuda:2"]),
        (["cuda:0", "cuda:1", "cuda:2", "cuda:3"], 4, ["cuda:0"]),
    ],
)
def test_no_two_runs_share_a_gpu_that_has_room_for_one(used: list[str], devices: int, firsts: list[str]):
    assert first_devices(used, devices) == firsts


@pytest.mark.parametrize(("workers", "devices", "runs"), [(4, 1, 4), (4, 2, 2), (4, 3, 1), (1, 2, 1)])
def test_so_many_runs_train_at_a_time_as_there_are_processes_for(workers: int, devices: int, runs: int):
    assert Resources(workers).side_by_side(devices) == runs
