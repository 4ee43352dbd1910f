"""What a cluster adds: its machines are lost, differ, or are not there; nothing of one of this machine is left."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bnbench.errors import InvalidRequest
from bnbench.launch import Done, read_settings
from bnbench.launch.ray_cluster import connected
from bnbench.launch.ray_settings import RaySettings, cluster_problems
from bnbench.scratch import scratch_folder
from tests.launch import tasks
from tests.launch.conftest import opened
from tests.launch.test_launch_local import ROOT, lives, wait_until
from tests.products import long

pytest.importorskip("ray", reason="it is not installed: pip install 'bnbench[ray]'")

INTERRUPTED = """
from pathlib import Path
from tests.launch import tasks
from tests.launch.conftest import opened
import sys
try:
    with opened("ray", Path(sys.argv[1])) as site:
        list(site.launch(tasks.tell_and_wait, [Path(sys.argv[1])] * 2, 2))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def named_here(marker: str) -> list[int]:
    """The processes whose command line has a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@long
def test_the_tasks_of_a_lost_machine_are_told_and_the_others_go_on(cluster: Any, tmp_path: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    stays = [(tmp_path, 20.0), (tmp_path, 20.0), (tmp_path, 0.0), (tmp_path, 0.0)]

    def remove() -> None:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2, seconds=60)
        cluster.remove_node(nodes[1], allow_graceful=False)

    remover = threading.Thread(target=remove)
    with opened("ray", tmp_path) as site:
        assert site.workers == 2
        remover.start()
        ends = list(site.launch(tasks.stay, stays, 2))
    remover.join()
    lost = [done for done in ends if done.is_lost]
    assert len(lost) == 1 and "lost" in str(lost[0].error)
    assert [done.error for done in ends if not done.is_lost] == [None] * 3
    assert sorted(done.index for done in ends) == [0, 1, 2, 3]


@long
def test_each_machine_is_asked(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    with opened("ray", tmp_path) as site:
        assert site.ask_each is not None
        ends = site.ask_each(tasks.machine_of, None)
    assert len(ends) == 2 and len({done.value for _, done in ends}) == 2
    assert all(name and done.error is None for name, done in ends)


@long
def test_a_cluster_that_is_full_is_waited_for(cluster: Any, tmp_path: Path) -> None:
    """There is one core for three workers: whoever has it does all."""
    cluster.add_node(num_cpus=1)
    with opened("ray", tmp_path) as site:
        ends = list(site.launch(tasks.identify, range(4), 3))
    assert len({done.value for done in ends}) == 1 and len(ends) == 4


@long
@pytest.mark.parametrize(("gpus", "company"), [("0.5", 2), ("1", 1)])
def test_workers_share_a_gpu_as_far_as_they_are_told_to(cluster: Any, tmp_path: Path, gpus: str, company: int) -> None:
    """The node has cores for three workers, and one GPU, as it says: nothing is computed there."""
    cluster.add_node(num_cpus=3, num_gpus=1)
    with opened("ray", tmp_path, f"launcher.gpus={gpus}", uses_gpu=True) as site:
        assert site.workers == company
        wait = 60.0 if company == 2 else 2.0
        ends = list(site.launch(tasks.meet, [(tmp_path, 2, wait)] * 2, 3))
    assert [done.error for done in ends] == [None, None]
    processes, devices, there = (set(values) for values in zip(*(done.value for done in ends), strict=True))
    assert (len(processes), devices, there) == (company, {"0"}, {company})


@long
def test_a_machine_that_comes_late_has_the_workers_that_wait(cluster: Any, tmp_path: Path) -> None:
    """There are as many workers as were asked for, whatever comes; without a wish as many as there was room for."""
    places = [tmp_path / name for name in ("all", "one")]
    for place in places:
        place.mkdir()

    cluster.add_node(num_cpus=1)
    with opened("ray", tmp_path) as site:
        assert site.workers == 1
        ends = list[Done]()
        launched = threading.Thread(target=lambda: ends.extend(site.launch(tasks.meet, [(places[0], 2, 60.0)] * 2, 2)))
        launched.start()
        wait_until(lambda: len(list(places[0].iterdir())) == 1, seconds=60)
        cluster.add_node(num_cpus=2)
        launched.join()
        assert {done.value[2] for done in ends} == {2} and len({done.value[0] for done in ends}) == 2
        alone = list(site.launch(tasks.meet, [(places[1], 2, 1.0)] * 2, site.workers))
    assert {done.value[2] for done in alone} == {1}


@long
def test_ray_takes_the_numbers_of_gpus_that_are_taken_here() -> None:
    """Nothing is computed with them: there are none in this cluster."""

    def is_taken_here(gpus: float) -> bool:
        try:
            return read_settings("ray", RaySettings, [f"launcher.gpus={gpus}"]).gpus == gpus
        except InvalidRequest as error:
            assert error.problems == (f"launcher.gpus={gpus}: must be at most 1, or a whole number",)
            return False

    with connected(read_settings("ray", RaySettings), 1, uses_gpu=False):
        import ray

        for gpus, taken in ((0.5, True), (1.0, True), (2.0, True), (1.5, False), (2.25, False)):
            refusal = nullcontext() if taken else pytest.raises(ValueError, match="GPU resource quantities >1")
            with refusal:
                ray.remote(tasks.identify).options(num_gpus=gpus).remote(0)
            assert is_taken_here(gpus) is taken


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "no Ray cluster answers there (Connection refused); ray start --head begins one"),
        ("ray://127.0.0.1:10001", "must be host:port of a cluster's head, or auto"),
        ("nonsense", "must be host:port of a cluster's head, or auto"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(address: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    (one,) = cluster_problems(read_settings("ray", RaySettings, [f"launcher.address={address}"]))
    monkeypatch.setenv("RAY_ADDRESS", address)
    (other,) = cluster_problems(read_settings("ray", RaySettings))
    assert one.startswith(f"launcher.address={address}: ") and other.startswith(f"RAY_ADDRESS={address}: ")
    assert says in one and says in other and time.monotonic() - start < 5


@pytest.fixture(params=["init", pytest.param("subreaper", marks=long)])
def adopted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whose child an orphan becomes: init's, or, as under systemd's user sessions, that of another process."""
    sets, gets, libc, before = 36, 37, ctypes.CDLL(None), ctypes.c_int()  # PR_SET_CHILD_SUBREAPER, PR_GET_...
    libc.prctl(gets, ctypes.byref(before), 0, 0, 0)
    libc.prctl(sets, request.param == "subreaper", 0, 0, 0)
    yield
    libc.prctl(sets, before.value, 0, 0, 0)  # other tests of this process count on theirs


def test_a_cluster_that_begins_and_ends_draws_no_random_numbers_of_this_program() -> None:
    """It does so in a thread beside networks that are watched for what they draw."""
    state = random.getstate()
    with connected(read_settings("ray", RaySettings), 1, uses_gpu=False) as room:
        assert room >= 1 and random.getstate() == state
    assert random.getstate() == state


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("end", [pytest.param(signal.SIGINT, marks=long), signal.SIGKILL])
def test_nothing_is_left_of_a_cluster_of_this_machine(tmp_path: Path, end: signal.Signals) -> None:
    """Ctrl-C reaches all processes of the terminal; files of a program that is killed go with the next such folder."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2, seconds=60)
        workers = [int(path.name) for path in tmp_path.iterdir()]
        sessions = named_here(f"_{process.pid}/sockets")
        assert sessions
        os.killpg(process.pid, end) if end == signal.SIGINT else process.kill()
        out, err = process.communicate(timeout=30)
    if end == signal.SIGINT:
        assert (out, err, process.returncode) == ("stopped\n", "", 0)
    wait_until(lambda: not any(map(lives, [*workers, *sessions])), seconds=20)
    assert not named_here(f"_{process.pid}/sockets")
    files = f"bnbench-tmp-*/session_*_{process.pid}"
    if end == signal.SIGINT:
        assert not list(Path("/tmp").glob(files))
    with scratch_folder("/tmp"):  # or that of another program, which may be about it
        wait_until(lambda: not list(Path("/tmp").glob(files)), seconds=20)
