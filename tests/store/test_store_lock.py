from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.store import Segment, check_writable, is_locked, join, lock, locked
from tests.conftest import Program

HOLD = """
import sys
from pathlib import Path
from bnbench.store import Segment, locked
with {held}:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    monkeypatch.setattr(lock, "WRITERS_PATIENCE", 0.05)


def hold(held: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", HOLD.format(held=held)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.usefixtures("impatient")
def test_one_program_holds_a_sweep_until_it_dies(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with hold(f"locked(Path({str(tmp_path)!r}))") as process:
        assert is_locked(tmp_path)
        with pytest.raises(BnbenchError, match="in use by another bnbench"), locked(tmp_path):
            pass
        process.kill()
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


@pytest.mark.usefixtures("impatient")
def test_a_join_waits_for_a_writer_that_lost_its_program(tmp_path: Path) -> None:
    with hold(f"Segment(Path({str(tmp_path)!r}), 'orphan')") as process:
        with pytest.raises(BnbenchError, match="earlier bnbench still writes"):
            join(tmp_path)
        assert (tmp_path / "segments").is_dir()
        with Segment(tmp_path, "another"):
            pass  # writers do not wait for each other
        process.kill()
    join(tmp_path)
    assert not (tmp_path / "segments").exists()


@pytest.mark.parametrize("name", [".lock", ".writers"])
@pytest.mark.parametrize(
    ("put", "kind"),
    [(os.mkfifo, "pipe"), (Path.mkdir, "folder"), (lambda path: path.symlink_to("/dev/null"), "device")],
)
def test_what_is_no_file_is_not_waited_for(
    name: str, put: Callable[[Path], None], kind: str, tmp_path: Path, program: Program
) -> None:
    assert program("run", "model=mlp", "model.width=8", "steps=2", "--name", "s").code == 0
    place = tmp_path / "results" / "s" / name
    place.unlink()
    put(place)
    said = f"{name} is damaged: it must be an empty file, and is a {kind}; remove it"
    with pytest.raises(BnbenchError, match=said), locked(place.parent):
        join(place.parent)
    trained = program("run", "model=mlp", "model.width=8", "steps=2", "seed=1", "--name", "s")
    assert trained.code == 2 and said in trained.err
    if name == ".lock":
        assert f"damaged: it must be an empty file, and is a {kind}" in program("ls").out
        for words in (("show", "r"), ("report", "s")):
            assert program(*words).code == 2


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(BnbenchError, match="cannot lock files there"), locked(tmp_path):
        pass


def test_check_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "new" / "sweep")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="is a file"):
        check_writable(tmp_path / "file" / "sweep")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InvalidRequest, match="not writable"):
        check_writable(tmp_path)
