"""A results folder that a group shares stays shared, whoever writes to it and whatever their umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnbench.store import Segment, enter_runs, join, load_runs, locked
from bnbench.store.files import replacing
from tests.products import long
from tests.store.sweeps import make_spec, train
from tests.test_user_cache import another_user, as_root

GROUP = 23456
"""A group that the users below are in."""
ALICE, BOB, EVE = 12345, 12346, 12347


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def fill(folder: Path) -> None:
    """Everything that a sweep's folder can hold."""
    with locked(folder):
        enter_runs(folder, [make_spec(0), make_spec(1)], {}, {})
        train(folder, make_spec(0), "one")
        join(folder)
        with Segment(folder, "two") as segment:
            segment.start([make_spec(1)], {})
            segment.readings([{"run_id": "a"}])
            segment.log("a", "text")


def test_what_is_written_is_as_open_to_the_group_as_the_folder(tmp_path: Path, umask: int):
    tmp_path.chmod(0o2775)
    folder = tmp_path / "results" / "sweep"
    fill(folder)
    found = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*")}
    assert len(found) > 12
    rest = 0o5 & ~umask
    for path in found.values():
        assert mode(path) == oct(0o2770 | rest if path.is_dir() else 0o660 | rest & 4), path


def test_without_a_shared_folder_the_umask_decides(tmp_path: Path, umask: int):
    tmp_path.chmod(0o777)
    fill(tmp_path / "sweep")
    for path in (tmp_path / "sweep").rglob("*"):
        assert mode(path) == oct((0o777 if path.is_dir() else 0o666) & ~umask), path


def test_a_folder_that_a_group_may_only_read_is_not_opened(tmp_path: Path, umask: int):
    os.umask(umask | 0o022)
    tmp_path.chmod(0o2750)
    fill(tmp_path / "sweep")
    assert not [path for path in (tmp_path / "sweep").rglob("*") if path.stat().st_mode & stat.S_IWGRP]


def test_a_file_that_is_replaced_stays_open_to_its_group(tmp_path: Path, umask: int):
    path = tmp_path / "table.csv"
    path.touch()
    path.chmod(0o660)
    with replacing(path) as stream:
        stream.write("new")
    assert path.read_text() == "new" and mode(path) == oct(0o660 | 0o666 & ~umask)


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that all users reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def bnbench(common: Path, user: int, *words: str, mask: int = 0o022) -> subprocess.CompletedProcess[str]:
    """A command that a user of the group gives in a folder."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(common / f"cache-{user}"), "BNBENCH_NATIVE": "off"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    program = [*another_user(user, *([GROUP] if user != EVE else [])), sys.executable, "-m", "bnbench", *words]
    done = subprocess.run(program, cwd=common, env=environment, capture_output=True, text=True, umask=mask, check=False)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


SMALL = ("model=mlp", "model.width=16", "epochs=1")


@long
@as_root
def test_two_users_extend_a_sweep(common: Path):
    results = common / "results"
    results.mkdir()
    os.chown(results, ALICE, GROUP)
    results.chmod(0o2775)
    for user, seeds, mask in (
        (ALICE, "seed=0,1", 0o022),
        (BOB, "seed=range(4)", 0o077),
        (ALICE, "seed=range(5)", 0o022),
    ):
        words = ("sweep", "--name", "s", "--extend", *SMALL, "norm=none,batch", seeds)
        done = bnbench(common, user, *words, mask=mask)
        assert done.returncode == 0, done.stderr
    assert set(load_runs(results / "s")["status"]) == {"completed"} and len(load_runs(results / "s")) == 10
    for path in results.rglob("*"):
        assert path.stat().st_gid == GROUP and path.stat().st_mode & stat.S_IWGRP, path
    report = bnbench(common, BOB, "report", "s", "--out", "results/report.md")
    assert report.returncode == 0 and (results / "report.md").exists()
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    refused = bnbench(common, EVE, "sweep", "--name", "s", *SMALL, "seed=9")
    assert refused.returncode == 2 and refused.stderr.startswith(f"error: results folder {results}/s: ")
    assert f"{results}/s is not writable" in refused.stderr and refused.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


CHECK = """
import sys
from pathlib import Path
from bnbench.errors import InvalidRequest
from bnbench.store import check_writable
try:
    check_writable(Path(sys.argv[1]))
except InvalidRequest as error:
    print(error)
"""


@as_root
@pytest.mark.parametrize(
    "part", [".lock", "segments", *(pytest.param(one, marks=long) for one in (".writers", "specs", "logs"))]
)
def test_a_part_that_another_user_has_closed_is_named(common: Path, part: str):
    folder = common / "s"
    common.chmod(0o2775)
    fill(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, ALICE, GROUP)
        path.chmod(0o2775 if path.is_dir() else 0o664)
    program = [*another_user(BOB, GROUP), sys.executable, "-c", CHECK, str(folder)]
    for closed in (False, True):
        if closed:
            (folder / part).chmod(0o755 if (folder / part).is_dir() else 0o644)
        done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        says = f"results folder {folder}: {folder / part} is not open to this user; let the owner give the command "
        assert done.stdout == closed * f"{says}chmod -R g+rwX {folder}, or choose another --results or --name\n"


@as_root
def test_a_folder_that_keeps_users_to_their_files_is_refused(common: Path):
    folder = common / "s"
    fill(folder)
    for path in folder.rglob("*"):
        os.chown(path, ALICE, GROUP)
    folder.chmod(0o1777)
    program = [*another_user(BOB, GROUP), sys.executable, "-c", CHECK, str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.startswith(f"results folder {folder}: {folder}/.lock is not open to this user; ")
