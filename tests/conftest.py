"""What all tests share: one thread per process, specs from overrides, real data, and the program itself."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bnbench.cli import main
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data
from bnbench.isolation import IMPORTED
from bnbench.launch import prestart
from bnbench.native import library
from bnbench.session import MEASURING
from bnbench.spec import RunSpec
from tests.budget import Budget
from tests.null_cuda.runtime import NullCuda, build, missing

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole", action="store_true", help="all tests, with all norms in all models, and the largest for more steps"
    )
    parser.addoption("--long", action="store_true", help="the tests that are marked long, and no others")
    parser.addoption("--budget", action="store_true", help="fail where tests take more CPU time than budget.toml says")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--budget"):
        config.pluginmanager.register(Budget("long" if config.getoption("--long") else "seconds"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests of one tier: ``make test``, ``make long``, or all of ``make whole``."""
    if config.getoption("--whole"):
        return
    long = bool(config.getoption("--long"))
    chosen, others = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        of_tier = (item.get_closest_marker("long") is not None) == long and item.get_closest_marker("whole") is None
        (chosen if of_tier else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Proofs and compiled code of this session only, shared by its processes."""
    here = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str((here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "cache"))
        yield


@pytest.fixture(scope="session")
def null_cuda(tmp_path_factory: pytest.TempPathFactory) -> NullCuda:
    """A CUDA runtime that does nothing, built once for all processes of this session."""
    if reason := missing():
        pytest.skip(reason)
    here = tmp_path_factory.getbasetemp()
    return build((here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "null_cuda")


def make_spec(*overrides: str) -> RunSpec:
    """The one spec of some overrides."""
    request = compose_request(overrides, components())
    assert not request.problems, request.problems
    (spec,) = request.specs
    return spec


def load_data(spec: RunSpec, root: Path = Path("data")) -> Data:
    """The data of a spec."""
    return components().load(spec, root)


@dataclass
class Result:
    """What a call of the program came to."""

    code: int
    out: str
    err: str


Program = Callable[..., Result]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compiled code in this session's cache, from the start: else the first sweeps would be trained by torch."""
    here = tmp_path_factory.getbasetemp()
    with ((here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / ".compiling").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library(torch.float64)


@pytest.fixture(scope="session")
def workers() -> None:
    """A fork server for all commands of this process, with all that their workers import.

    The first command would start one with what it needs itself, and each worker of the others would import the rest,
    torch._dynamo among it where a layer is translated.
    """
    prestart("torch._dynamo", "bnbench.worker", "bnbench.plugins", *MEASURING, *IMPORTED)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster whose head has no room for workers, at RAY_ADDRESS."""
    from bnbench.launch.ray_settings import imported_ray

    imported_ray()
    from ray.cluster_utils import Cluster

    there = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", there.address)
    yield there
    there.shutdown()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """The program for commands that train nothing, called in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["bnbench", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        captured = capfd.readouterr()
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def program(compiled: None, workers: None, reader: Program) -> Program:
    """The program for all commands, called in this process in an empty folder."""
    return reader


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A data folder with MNIST/raw and cifar10_jpeg; nothing may be written there."""
    prepare = SHARED / "data" / "prepare.py"
    if not prepare.is_file():
        pytest.skip(f"no real data: {prepare} is absent")
    folder = Path(tempfile.gettempdir()) / "bnbench-shared-data"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            subprocess.run([sys.executable, str(prepare), str(folder)], check=True, stdout=subprocess.DEVNULL)
            (folder / ".ready").touch()
    return folder


RoomFor = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
def room_for() -> RoomFor:
    """Let no file grow above so many bytes for a while: what a full disk does, without one."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


SmallDisk = Callable[[str], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a disk of a size such as ``64k`` in the test's folder, which only root may."""
    disks = list[Path]()

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{len(disks)}"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk")
        disks.append(folder)
        return folder

    yield mount
    for folder in disks:
        subprocess.run(["umount", str(folder)], check=True)


def remount(disk: Path, option: str) -> None:
    """Change a disk that is mounted: ``size=1m``, ``ro``, ``rw``."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)
