"""Folders for what nobody needs later: gone with those who have them, however they end."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bnbench.scratch import PREFIX, scratch_folder

KILLED = """
import os, signal, sys
from bnbench.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "file").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_goes_with_its_block_and_no_other(tmp_path: Path) -> None:
    with ExitStack() as folders:
        first, second = (folders.enter_context(scratch_folder(str(tmp_path))) for _ in range(2))
        (first / "file").touch()
        assert second.stat().st_mode & 0o777 == 0o700 and first != second and (first / "file").exists()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_leaves_is_removed_by_the_next_one(tmp_path: Path) -> None:
    others = [tmp_path / "bnbench-0", tmp_path / "file"]
    others[0].mkdir(), others[1].touch()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.glob(f"{PREFIX}*")
    assert (left / "file").exists()
    with scratch_folder(str(tmp_path)) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([*others, folder])
    assert sorted(tmp_path.iterdir()) == others


def test_folders_of_others_and_links_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    there.mkdir(), (there / "file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(there)
    (tmp_path / f"{PREFIX}other").mkdir()
    with monkeypatch.context() as another, scratch_folder(str(tmp_path)):
        another.setattr(os, "geteuid", lambda: 12345)
        with scratch_folder(str(tmp_path)):
            pass
    assert (there / "file").exists() and (tmp_path / f"{PREFIX}link").is_symlink()
    with scratch_folder(str(tmp_path)):
        assert not (tmp_path / f"{PREFIX}other").exists() and (tmp_path / f"{PREFIX}link").is_symlink()


def test_without_locks_a_folder_is_never_taken_for_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with scratch_folder(str(tmp_path)) as first, scratch_folder(str(tmp_path)) as second:
        assert first.is_dir() and sorted(tmp_path.iterdir()) == sorted([first, second])
    assert not list(tmp_path.iterdir())
