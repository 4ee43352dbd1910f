"""The sites of all launchers; the fork server that these tests start, without torch, is not left to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from bnbench.launch import LAUNCHERS, Request, Site, read_settings

NEEDS = {"ray": "ray", "slurm": "submitit"}
"""The packages without which a launcher is not tested."""
HERE = {"slurm": ("launcher.cluster=local",)}
"""The settings by which a launcher needs no more than this machine."""


@pytest.fixture(scope="module", autouse=True)
def server_is_left_to_nobody() -> Iterator[None]:
    """A server is there from the first process on, and imports nothing more for later ones."""
    server: Any = forkserver._forkserver
    earlier = server._forkserver_pid
    yield
    if server._forkserver_pid != earlier:
        server._stop()


@contextmanager
def opened(name: str, folder: Path, *words: str, uses_gpu: bool = False) -> Iterator[Site]:
    """A site of a launcher on this machine."""
    launcher = LAUNCHERS[name]
    if launcher.settings is None or launcher.open is None:
        yield Site(launcher.launch)
        return
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"it is not installed: pip install 'bnbench[{name}]'")
    settings = read_settings(name, launcher.settings, (*HERE.get(name, ()), *words))
    assert not launcher.problems(settings)
    with launcher.open(Request(settings, jobs=3, uses_gpu=uses_gpu, folder=folder)) as site:
        yield site


def isolating() -> list[str]:
    """The launchers whose tasks may die."""
    return [name for name, launcher in LAUNCHERS.items() if launcher.isolates]


@pytest.fixture(params=LAUNCHERS, scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of each launcher."""
    with opened(request.param, tmp_path_factory.mktemp(request.param)) as there:
        yield there


@pytest.fixture(params=isolating(), scope="module")
def isolated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of each launcher whose tasks may die."""
    with opened(request.param, tmp_path_factory.mktemp(request.param)) as there:
        yield there
