"""Sweeps that train on clusters: the same tables as here, whatever becomes of machines, jobs and programs."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench import store
from bnbench.launch.errands import errands_in
from tests.budget import slowness
from tests.conftest import Program
from tests.launch.test_launch_local import lives
from tests.launch.test_launch_ray import named_here
from tests.launch.test_launch_slurm import tree
from tests.products import long
from tests.session.test_timeout import PLUGIN as HANGING
from tests.session.test_timeout import SLOW_TO_IMPORT

pytest.importorskip("ray", reason="it is not installed: pip install 'bnbench[ray]'")
pytest.importorskip("submitit", reason="it is not installed: pip install 'bnbench[slurm]'")

SMALL = ("model=mlp", "model.width=8", "norm=none,batch", "batch_size=32", "lr=0.1", "seed=0,1", "epochs=2")
LONG = ("model=mlp", "model.width=8", "norm=none,batch", "seed=0,1", "epochs=2000", "evaluate.every=20")
SLURM = ("--launcher", "slurm", "launcher.cluster=local", "--jobs", "2")
PAUSED = (
    "model=mlp", "model.width=64", "norm=batch", "grad_clip=1", "optim.momentum=0.9", "seed=0,1", "epochs=150",
    "evaluate.every=8", "lr=0.1,0.2", "probes=[gradient_flow]", "probe_every=80", "--lanes", "2",
)  # fmt: skip
"""Two stacks of 3,300 steps, of which most are left when one that is seen to be at 200 is ended."""
WHERE = {"ray": ("--launcher", "ray", "--jobs", "2"), "slurm": SLURM}
PLUGIN = """
import HELPER
from torch import Tensor, nn

class Mine(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)

NORMS = {"mine": Mine}
"""
DEADLY = """
import os
import signal
import torch
from torch import Tensor, nn

class Deadly(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.unlucky, self.calls = torch.rand(()).item() > 0.85, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        if self.unlucky and self.calls > 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return x - x.mean(0)

NORMS = {"deadly": Deadly}
"""


def rows(sweep: str, table: str = "runs") -> list[dict[str, str]]:
    with Path(f"results/{sweep}/{table}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(sweep: str) -> dict[str, tuple[str, ...]]:
    kept = ("status", "steps_done", "train_loss", "val_loss", "test_loss", "test_accuracy")
    return {row["run_id"]: tuple(row[column] for column in kept) for row in rows(sweep)}


def metrics(sweep: str) -> list[str]:
    return sorted(Path(f"results/{sweep}/metrics.csv").read_text().splitlines())


def contents(sweep: str, kind: str) -> dict[str, Any]:
    """By name, the files of a kind; of weights the numbers and, in any order, what is known of them."""
    found: dict[str, Any] = {}
    for path in Path(f"results/{sweep}/{kind}").iterdir():
        content = path.read_bytes()
        if kind == "weights":
            end = 8 + int.from_bytes(content[:8], "little")
            found[path.name] = json.loads(content[8:end]), content[end:]
        else:
            found[path.name] = content
    return found


def in_mid_sweep(sweep: str, act: Callable[[], None]) -> threading.Thread:
    """Begin a thread that does something once a sweep has measured something."""

    def wait_and_act() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if any(path.stat().st_size > 300 for path in Path(f"results/{sweep}/segments").glob("*.metrics.csv")):
                break
            time.sleep(0.1)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


@pytest.mark.parametrize("where", WHERE)
def test_the_tables_are_those_of_this_machine(program: Program, where: str) -> None:
    words = (*SMALL, "probes=[gradient_flow]", "--save-weights")
    assert program("sweep", "--name", "here", *words, "--launcher", "inline").code == 0
    said = program("sweep", "--name", "there", *words, *WHERE[where])
    assert (said.code, said.err) == (0, ""), said.err
    assert numbers("there") == numbers("here") and metrics("there") == metrics("here")
    assert sorted(map(str, rows("there", "probes"))) == sorted(map(str, rows("here", "probes")))
    assert contents("there", "specs") == contents("here", "specs")
    assert contents("there", "weights") == contents("here", "weights") and len(contents("there", "weights")) == 4
    assert not Path("results/there/.jobs").exists()


@long
@pytest.mark.parametrize("where", WHERE)
def test_trials_go_on_from_rung_to_rung(program: Program, where: str) -> None:
    """The checkpoints of a rung come here with its rows, and go with the runs to whoever trains the next one."""
    words = ("model=mlp", "model.width=8", "lr=tag(log,interval(0.01,1))", "norm=none,batch", "seed=0,1", "epochs=4")
    search = ("--search", "random", "--trials", "4", "--halving", "2")
    assert program("sweep", "--name", "here", *search, *words, "--launcher", "inline").code == 0
    said = program("sweep", "--name", "there", *search, *words, *WHERE[where])
    assert said.code == 0 and "4 completed, 12 stopped" in said.out, said
    assert numbers("there") == numbers("here") and metrics("there") == metrics("here")
    assert rows("there", "rungs") == rows("here", "rungs") and len(rows("here", "rungs")) == 6
    completed = [row["run_id"] for row in rows("there") if row["status"] == "completed"]
    assert all("went on from step" in Path(f"results/there/logs/{name}.log").read_text() for name in completed)
    assert not Path("results/there/checkpoints").exists() or not list(Path("results/there/checkpoints").iterdir())


@long
def test_the_runs_of_a_lost_machine_are_trained_elsewhere(program: Program, cluster: Any) -> None:
    nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    assert program("sweep", "--name", "here", *LONG, "--launcher", "inline").code == 0
    thread = in_mid_sweep("there", lambda: cluster.remove_node(nodes[1], allow_graceful=False))
    said = program("sweep", "--name", "there", *LONG, "--launcher", "ray")
    thread.join()
    assert said.code == 0 and "4 completed" in said.out, said
    assert numbers("there") == numbers("here") and metrics("there") == metrics("here")


def at_a_checkpoint(sweep: str, step: int, act: Callable[[], None], stacks: int = 1) -> threading.Thread:
    """Begin a thread that does something once so many stacks of a sweep have a checkpoint of so many steps."""

    def wait_and_act() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                there = [one for _, one in store.list_checkpoints(Path(f"results/{sweep}")) if one is not None]
                if sum(one.step >= step for one in there) >= stacks:
                    break
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def check_gone_on(sweep: str, whole: str) -> None:
    """Some runs went on from a checkpoint, and the tables are those of a sweep that nobody has stopped."""
    logs = [path.read_text() for path in Path(f"results/{sweep}/logs").iterdir()]
    assert any("went on from step" in log for log in logs) and not any("checkpoint is not used" in log for log in logs)
    assert numbers(sweep) == numbers(whole) and metrics(sweep) == metrics(whole)
    for row, other in zip(*(sorted(rows(one, "probes"), key=str) for one in (sweep, whole)), strict=True):
        assert row == other
    assert not Path(f"results/{sweep}/checkpoints").exists()


@long
def test_a_stack_goes_on_from_its_checkpoint_on_another_machine(program: Program, cluster: Any) -> None:
    nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    assert program("sweep", "--name", "here", *PAUSED, "--launcher", "inline").code == 0
    thread = at_a_checkpoint("there", 200, lambda: cluster.remove_node(nodes[1], allow_graceful=False), 2)
    words = ("sweep", "--name", "there", *PAUSED, "--launcher", "ray")
    said = program(*words, "--checkpoint-every", "0.01s")
    thread.join()
    assert said.code == 0 and "4 completed" in said.out, said
    check_gone_on("there", "here")


def interrupt_jobs() -> None:
    """Send two jobs of a sweep the signal by which submitit warns them, each as soon as it trains."""
    deadline, interrupted = time.monotonic() + 120, set[Path]()
    while len(interrupted) < 2 and time.monotonic() < deadline:
        for errand in errands_in(Path("results/there/.jobs/errands")):
            if errand.folder not in interrupted and (errand.folder / "heeded").exists():
                interrupted.add(errand.folder)
                for process in tree(int(errand.job or ""))[:-1]:
                    os.kill(process, signal.SIGUSR2)
        time.sleep(0.01)


@long
@pytest.mark.parametrize("requeues", [0, 3])
def test_an_interrupted_job_goes_on_from_where_its_signal_came(program: Program, requeues: int) -> None:
    """No checkpoint is due by time. A job that is not requeued leaves it to the next command, on whatever launcher."""
    assert program("sweep", "--name", "here", *PAUSED, "--launcher", "inline").code == 0
    words = ("sweep", "--name", "there", *PAUSED)
    thread = threading.Thread(target=interrupt_jobs)
    thread.start()
    said = program(*words, *SLURM, "launcher.time=8", f"launcher.requeues={requeues}")
    thread.join()
    if requeues == 0:
        assert said.code == 1 and "interrupted" in said.out, said
        assert "2 runs stopped at a checkpoint: its job was interrupted more often than" in said.err, said
        said = program(*words)
        assert "go on from where an interrupted program came to" in said.err + said.out, said
    assert said.code == 0 and "4 completed" in said.out, said
    check_gone_on("there", "here")


@long
def test_the_runs_of_a_killed_job_are_trained_once_more_and_no_others(program: Program) -> None:
    """It is killed with all its processes; the program waits for it, and the same command has nothing left to do."""
    assert program("sweep", "--name", "here", *PAUSED, "--launcher", "inline").code == 0
    killed: list[str] = []
    before: dict[str, str] = {}

    def kill() -> None:
        errand = next(one for one in errands_in(Path("results/there/.jobs/errands")) if one.job)
        killed.append(errand.job or "")
        before.update({row["run_id"]: str(row) for row in rows("there") if row["status"] == "completed"})
        for one in reversed(tree(int(errand.job or ""))):
            os.kill(one, signal.SIGKILL)

    thread = at_a_checkpoint("there", 200, kill, 2)
    words = ("sweep", "--name", "there", *PAUSED, *SLURM)
    said = program(*words, "--checkpoint-every", "0.01s")
    thread.join()
    assert killed and said.code == 0 and "4 completed" in said.out, said
    assert before.items() <= {row["run_id"]: str(row) for row in rows("there")}.items()
    again = program(*words)
    assert again.code == 0 and "4 finished already" in again.out + again.err, again
    assert numbers("there") == numbers("here") and metrics("there") == metrics("here")


@long
def test_jobs_that_nobody_waited_for_go_on_when_they_are_collected(program: Program) -> None:
    """They have used up their requeues; the program that collects them goes on at once."""
    words = ("sweep", "--name", "there", *PAUSED, *SLURM, "launcher.time=8", "launcher.requeues=0")
    begin = [sys.executable, "-m", "bnbench", *words, "--detach"]
    nowhere = subprocess.DEVNULL  # a pipe is open as long as the jobs
    assert subprocess.run(begin, stdout=nowhere, stderr=nowhere, timeout=120, check=False).returncode == 0
    interrupt_jobs()
    said = program(*words)
    assert said.code == 0 and "4 completed" in said.out, said
    logs = [path.read_text() for path in Path("results/there/logs").iterdir()]
    assert len(logs) == 4 and all("went on from step" in log for log in logs)


@long
@pytest.mark.parametrize("where", WHERE)
def test_a_program_that_is_killed_goes_on_from_checkpoints(program: Program, where: str) -> None:
    """Whether the jobs are killed with it or not, which go on by themselves."""
    assert program("sweep", "--name", "here", *PAUSED, "--launcher", "inline").code == 0
    words = ("sweep", "--name", "there", *PAUSED, *WHERE[where], "--checkpoint-every", "0.01s")
    with subprocess.Popen(
        [sys.executable, "-m", "bnbench", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        below: list[int] = []

        def kill() -> None:
            below.extend(tree(process.pid))
            for one in reversed(below):
                os.kill(one, signal.SIGKILL)

        at_a_checkpoint("there", 200, kill).join()
        process.wait(timeout=60)
    said = program(*words)
    assert said.code == 0 and "4 completed" in said.out, said
    check_gone_on("there", "here")


@long
@pytest.mark.parametrize("where", WHERE)
def test_of_a_stack_the_run_that_hangs_is_ended(program: Program, where: str) -> None:
    Path("mine.py").write_text(HANGING)
    words = ("--plugin", "mine.py", "model=mlp", "model.width=16", "norm=hanging", "batch_size=128", "epochs=60")
    limits = ("lr=0.01,1e6", "evaluate.every=60", "--lanes", "4", "--timeout", "15s")
    said = program("sweep", "--name", "s", *words, *limits, *WHERE[where])
    assert said.code == 1, said
    ends = {row["lr"]: (row["status"], row["error"]) for row in rows("s")}
    assert ends.pop("1000000.0")[0] == "timed_out" and set(ends.values()) == {("completed", "")}
    assert "nothing came from it for 15 s" in said.out


@long
@pytest.mark.parametrize("where", WHERE)
def test_a_worker_that_is_slow_to_begin_is_left_in_peace(program: Program, where: str) -> None:
    Path("mine.py").write_text(f"{HANGING}{SLOW_TO_IMPORT}")
    words = ("--plugin", "mine.py", "model=mlp", "norm=hanging", "epochs=1", "--timeout", "4s", *WHERE[where])
    assert program("sweep", "--name", "s", *words).code == 0


@long
@pytest.mark.parametrize("where", WHERE)
def test_a_run_that_kills_its_worker_fails_alone(program: Program, tmp_path: Path, where: str) -> None:
    Path("plugin.py").write_text(DEADLY)
    words = ("norm=deadly", "model=mlp", "model.depth=1", "model.width=8", "steps=20", "epochs=null", "batch_size=16")
    said = program("sweep", "--name", "s", "--plugin", "plugin.py", *words, "seed=8,9,10,11", *WHERE[where])
    assert said.code == 1, said
    status = {row["seed"]: (row["status"], row["error"]) for row in rows("s")}
    assert {seed for seed, (one, _) in status.items() if one == "completed"} == {"8", "10", "11"}
    assert "SIGKILL" in status["9"][1] and list(Path("results/s/logs").iterdir())


@long
def test_machines_that_differ_are_refused_by_name(program: Program, cluster: Any, tmp_path: Path) -> None:
    """One node finds another torch, and none of them what the plugin imports, which only this program can."""
    (tmp_path / "there/torch-9.9.dist-info").mkdir(parents=True)
    (tmp_path / "there/torch-9.9.dist-info/METADATA").write_text("Name: torch\nVersion: 9.9\n")
    places = {"PYTHONPATH": f"{tmp_path / 'there'}:{os.environ.get('PYTHONPATH', '')}"}
    cluster.add_node(num_cpus=1, env_vars=places)
    said = program("sweep", "--name", "s", *SMALL, "--launcher", "ray")
    assert said.code == 2 and "torch 9.9 there" in said.err and " here; install the same" in said.err, said
    assert "node " in said.err and not Path("results/s").exists() and "Traceback" not in said.err


@contextmanager
def begun(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """A program beside this one once its sweep is there, and a function that waits for a text of it.

    The function returns all that it has said.
    """
    with Path("said").open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "bnbench", *words], stdout=stream, stderr=stream)

    def wait_for(text: str) -> str:
        deadline = time.monotonic() + 60 * slowness()
        while text not in (said := Path("said").read_text()) or not Path("results/there").exists():
            assert time.monotonic() < deadline and process.poll() is None, said
            time.sleep(0.1)
        return said

    try:
        wait_for("")
        yield process, wait_for
    finally:
        process.kill()
        process.wait()


@long
@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (
            "torch-9.9.dist-info/METADATA",
            "Name: torch\nVersion: 9.9\n",
            f"torch 9.9 there, {version('torch')} here; install the same",
        ),
        ("bnbench/__init__.py", "raise ImportError('not here')", "bnbench cannot be called there"),
    ],
    ids=["torch", "bnbench"],
)
def test_a_machine_that_comes_late_and_differs_has_no_runs(
    program: Program, cluster: Any, tmp_path: Path, file: str, content: str, told: str
) -> None:
    """There is no room at first; then comes a node that finds another torch, or no bnbench, and then one like this."""
    assert program("sweep", "--name", "here", *SMALL, "--launcher", "inline").code == 0
    path = tmp_path / "other" / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with begun("sweep", "--name", "there", *SMALL, "--launcher", "ray", "--jobs", "2") as (process, wait_for):
        places = {"PYTHONPATH": f"{tmp_path / 'other'}:{os.environ.get('PYTHONPATH', '')}"}
        cluster.add_node(num_cpus=2, env_vars=places)
        said = wait_for("it came late, and has no runs")
        (line,) = [line for line in said.splitlines() if "came late" in line]
        assert "node " in line and told in line, line
        assert {row["status"] for row in rows("there")} <= {"planned"}
        cluster.add_node(num_cpus=2)
        assert process.wait(timeout=120) == 0, Path("said").read_text()
    said = Path("said").read_text()
    assert said.count("came late") == 1 and "4 completed" in said and "Traceback" not in said, said
    assert numbers("there") == numbers("here") and metrics("there") == metrics("here")


@pytest.fixture
def apart(cluster: Any, tmp_path: Path) -> Iterator[Callable[[Path], int]]:
    """Begin a node of the cluster that has a folder of its own in the place of one of this machine; its process."""
    begun = list[subprocess.Popen[bytes]]()
    command = 'mount -t tmpfs none "$1" && exec "$2" start --address="$3" --num-cpus=2 --block --disable-usage-stats'

    def begin(folder: Path) -> int:
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            pytest.skip("only root may give a process folders of its own")
        ray = str(Path(sys.executable).with_name("ray"))
        words = ["unshare", "-m", "sh", "-c", command, "sh", str(folder), ray, cluster.address]
        quiet = subprocess.DEVNULL
        begun.append(subprocess.Popen(words, stdout=quiet, stderr=quiet, start_new_session=True))
        return begun[-1].pid

    yield begin
    for process in begun:
        for one in tree(process.pid):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.wait()


@long
@pytest.mark.parametrize("is_late", [False, True])
def test_a_machine_has_the_data_once_for_all_stacks(
    program: Program, cluster: Any, apart: Callable[[Path], int], tmp_path: Path, is_late: bool
) -> None:
    """Its folder of data is its own, and empty; a file that is put in its place again would be another one."""
    data = tmp_path / "mine"
    data.mkdir()
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(data / "mine.npz", x=images, y=np.arange(60) % 2)
    words = (
        "dataset=npz", f"dataset.path={data / 'mine.npz'}", "model=mlp", "model.width=8", "norm=none,batch",
        "batch_size=8", "lr=0.1", "seed=range(3)", "epochs=30", "--lanes", "off",
    )  # fmt: skip
    assert program("sweep", "--name", "here", *words, "--launcher", "inline").code == 0
    if not is_late:
        node = apart(data)
        wait_for_nodes(cluster, 2)
    with begun("sweep", "--name", "there", *words, "--launcher", "ray", "--jobs", "2") as (process, _):
        if is_late:
            node = apart(data)
        there = Path(f"/proc/{node}/root") / data.relative_to("/")
        seen: list[tuple[int, list[tuple[str, int]]]] = []

        def look() -> None:
            files = [(path.name, path.stat().st_ino) for path in there.iterdir()]
            seen.append((there.stat().st_mtime_ns, files))

        in_mid_sweep("there", look).join()
        assert process.wait(timeout=120) == 0, Path("said").read_text()
        look()
        assert (there / "mine.npz").read_bytes() == (data / "mine.npz").read_bytes()
    ((name, inode),) = seen[0][1]
    assert seen[0] == seen[1] and name == "mine.npz" and inode != (data / "mine.npz").stat().st_ino
    assert len(rows("there")) == 6 and numbers("there") == numbers("here") and metrics("there") == metrics("here")


def wait_for_nodes(cluster: Any, count: int) -> None:
    """Wait until a cluster has so many nodes."""
    from ray._raylet import GcsClient

    client, deadline = GcsClient(address=cluster.address), time.monotonic() + 60
    while sum(node.state == 0 for node in client.get_all_node_info().values()) < count:
        assert time.monotonic() < deadline, "no node came"
        time.sleep(0.1)


@long
def test_a_machine_without_what_a_plugin_imports_is_named(
    program: Program, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/only_this_machine_has_it.py").touch()
    Path("plugin.py").write_text(PLUGIN.replace("HELPER", "only_this_machine_has_it"))
    cluster.add_node(num_cpus=1)
    words = ["sweep", "--name", "s", "--plugin", "plugin.py", *SMALL[:2], "norm=mine", "--launcher", "ray"]
    done = subprocess.run(
        [sys.executable, "-m", "bnbench", *words], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "here")},
    )  # fmt: skip
    assert done.returncode == 2 and "node " in done.stderr, done
    assert "No module named 'only_this_machine_has_it'" in done.stderr and not Path("results/s").exists()


@long
@pytest.mark.parametrize("where", WHERE)
def test_an_interrupted_sweep_leaves_no_process_and_goes_on(program: Program, where: str) -> None:
    words = ("sweep", "--name", "s", *LONG, *WHERE[where])
    with subprocess.Popen(
        [sys.executable, "-m", "bnbench", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        below, ours = list[int](), f"_{process.pid}/sockets"

        def interrupt() -> None:
            assert bool(named_here(ours)) is ("ray" in WHERE[where])
            below.extend([*tree(process.pid), *named_here(ours)])
            os.killpg(process.pid, signal.SIGINT)

        in_mid_sweep("s", interrupt).join()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in out and "Traceback" not in out + err, (out, err)
    deadline = time.monotonic() + 20
    while left := [one for one in {*below, *named_here(ours)} if lives(one)]:
        assert time.monotonic() < deadline, [Path(f"/proc/{one}/cmdline").read_text() for one in left]
        time.sleep(0.1)
    assert program("sweep", "--name", "s", *LONG, *WHERE[where]).code == 0
    assert {row["status"] for row in rows("s")} == {"completed"}


@long
def test_a_detached_sweep_is_collected_by_the_same_command(program: Program) -> None:
    words = [sys.executable, "-m", "bnbench", "sweep", "--name", "s", *SMALL, *SLURM]
    left = subprocess.run([*words, "--detach"], capture_output=True, text=True, timeout=120, check=False)
    assert left.returncode == 0 and "left to jobs; the same command collects" in left.stdout, left
    other = program("sweep", "--name", "s", *SMALL)
    assert other.code == 2 and "the same command with --launcher slurm collects them" in other.err
    begun = {errand.name for errand in Path("results/s/.jobs/errands").iterdir()}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert begun and done.returncode == 0 and "4 completed" in done.stdout, done
    assert program("sweep", "--name", "here", *SMALL, "--launcher", "inline").code == 0
    assert numbers("s") == numbers("here") and metrics("s") == metrics("here")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--launcher", "slurm"), ["--launcher slurm: there is no sbatch and no srun here"]),
        (("--launcher", "slurm", "launcher.partitoin=a"), ["launcher.partitoin: unknown setting", "'partition'"]),
        (("--launcher", "slurm", "launcher.time=soon"), ["launcher.time=soon: must be a number"]),
        (("--launcher", "slurm", "launcher.cpus=0"), ["launcher.cpus=0: must be at least 1"]),
        (("--launcher", "slurm", "launcher.cluster=lcoal"), ["launcher.cluster=lcoal: unknown", "'local'"]),
        (("--launcher", "slurm", "launcher.time"), ["launcher.time: must be launcher.KEY=VALUE"]),
        (("launcher.time=3",), ["launcher.time=3: --launcher local has no settings"]),
        (("--launcher", "ray", "launcher.address=localhost:1"), ["localhost:1", "no Ray cluster answers there"]),
        (("--launcher", "ray", "launcher.gpu=1"), ["launcher.gpu: unknown setting of --launcher ray", "'gpus'"]),
        (("--launcher", "ray", "launcher.cpus=.inf"), ["launcher.cpus=.inf: must be finite"]),
        (("--launcher", "slurm", "launcher.time=.nan"), ["launcher.time=.nan: must be finite"]),
        (
            ("--launcher", "ray", "launcher.gpus=1.5"),
            ["error: launcher.gpus=1.5: must be at most 1, or a whole number\n"],
        ),
        (("--launcher", "ray", "--detach"), ["--detach: needs --launcher slurm, and not ray"]),
        (
            ("--launcher", "slurm", "launcher.cluster=local", "--detach", "--search", "random", "--trials", "3"),
            ["--detach: a search waits for the results of its trials"],
        ),
        (("--launcher", "rya"), ["launcher=rya: unknown", "'ray'"]),
    ],
)
def test_wrong_clusters_are_refused(reader: Program, words: tuple[str, ...], says: list[str]) -> None:
    result = reader("sweep", "--name", "s", *SMALL, *words)
    assert result.code == 2 and all(text in result.err for text in says), result.err
    assert not Path("results").exists() and "Traceback" not in result.err
