"""What is kept counts only as it was written, by whom nobody else can have taken the place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.notices import heard
from bnbench.user_cache import is_sealed, keep, kept_folder, kept_folders, kept_text, make_folder, put, seal, untrusted
from tests.products import long

ANOTHER = 12345
"""A user who is neither root nor, as a rule, this one."""
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root gives files away and becomes another user"
)


def another_user(user: int = ANOTHER, *groups: int) -> list[str]:
    """What to put before a command that another user gives, who can read all, as this Python, and write nothing."""
    reads = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    belongs = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={user}", f"--regid={user}", belongs, *reads]


Damage = Callable[[Path], None]


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _garble(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def _turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _link(path: Path) -> None:
    """To a copy that is right as long as nobody changes it."""
    elsewhere = path.parents[2] / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def _make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def _make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _remove(path: Path) -> None:
    path.unlink()


def _give_away(path: Path) -> None:
    os.chown(path, ANOTHER, ANOTHER)


def _open(path: Path) -> None:
    path.chmod(0o666)


DAMAGES: list[Damage] = [
    _truncate, _halve, _empty, _garble, _turn_a_bit, _link, _link_to_nothing, _make_a_folder, _make_a_pipe, _remove,
    _open, pytest.param(_give_away, marks=as_root),  # type: ignore[list-item]
]  # fmt: skip
SOME_DAMAGES = [
    damage
    if damage in (_turn_a_bit, _link, _make_a_folder, _remove)
    else pytest.param(*getattr(damage, "values", [damage]), marks=[*getattr(damage, "marks", []), long])
    for damage in DAMAGES
]
"""For files that are read by functions to which all damages are done elsewhere."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_text_is_none_and_is_replaced(damage: Damage, tmp_path: Path):
    path = tmp_path / "cache" / "proofs" / "one"
    keep(path, "proved")
    assert kept_text(path) == "proved"
    damage(path)
    assert kept_text(path) is None
    keep(path, "refuted: 中")
    assert kept_text(path) == "refuted: 中"
    assert [item.name for item in path.parent.iterdir()] == ["one"]


def test_a_text_about_something_else_is_none(tmp_path: Path):
    for place in ("proofs/one", "proofs/two", "others/one"):
        keep(tmp_path / place, f"of {place}")
    shutil.copy(tmp_path / "proofs/two", tmp_path / "proofs/one")
    assert kept_text(tmp_path / "proofs/one") is None
    shutil.copy(tmp_path / "others/one", tmp_path / "proofs/one")
    assert kept_text(tmp_path / "proofs/one") is None


def _sealed(folder: Path) -> Path:
    make_folder(folder)
    (folder / "a").write_text("content of a")
    (folder / "b").write_text("content of b")
    seal(folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["a", "b", "digests"])
def test_a_folder_with_a_damaged_file_is_told_and_replaced(damage: Damage, file: str, tmp_path: Path):
    folder = _sealed(tmp_path / "native" / "key")
    assert is_sealed(folder)
    damage(folder / file)
    assert not is_sealed(folder)
    put(_sealed(tmp_path / "scratch" / "key"), folder)
    assert is_sealed(folder) and [item.name for item in folder.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("damage", [_remove, _make_a_pipe, _link_to_nothing])
def test_what_stands_in_a_folders_place_is_replaced(damage: Damage, tmp_path: Path):
    folder = tmp_path / "native" / "key"
    make_folder(folder.parent)
    folder.touch()
    damage(folder)
    assert not is_sealed(folder)
    put(_sealed(tmp_path / "scratch" / "key"), folder)
    assert is_sealed(folder)


def test_files_of_another_folder_are_not_taken_for_this_ones(tmp_path: Path):
    shutil.copytree(_sealed(tmp_path / "one"), tmp_path / "two")
    assert is_sealed(tmp_path / "one") and not is_sealed(tmp_path / "two")


def test_what_is_made_is_for_this_user_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        keep(tmp_path / "cache/bnbench/proofs/one", "proved")
        folder = _sealed(tmp_path / "cache/bnbench/native/key")
    finally:
        os.umask(before)
    assert untrusted(tmp_path / "cache/bnbench/proofs/one") is None and is_sealed(folder)


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o775), lambda path: path.chmod(0o757)])
@pytest.mark.parametrize("part", ["cache", "cache/bnbench", "cache/bnbench/native"])
def test_a_folder_that_others_may_write_to_is_not_trusted(part: str, change: Damage, tmp_path: Path):
    make_folder(tmp_path / "cache/bnbench/native")
    change(tmp_path / part)
    assert untrusted(tmp_path / "cache/bnbench/native/key") == f"others may write to {tmp_path / part}"
    (tmp_path / part).chmod(0o1777)
    assert untrusted(tmp_path / "cache/bnbench/native/key") is None, "each keeps what is theirs"


@as_root
@pytest.mark.parametrize("part", ["cache", "cache/bnbench", "cache/bnbench/native"])
def test_a_folder_of_another_user_is_not_trusted(part: str, tmp_path: Path):
    make_folder(tmp_path / "cache/bnbench/native")
    os.chown(tmp_path / part, ANOTHER, -1)
    assert untrusted(tmp_path / "cache/bnbench/native/key") == f"{tmp_path / part} belongs to another user"


def test_a_link_is_followed_and_what_it_leads_to_held_to_the_same(tmp_path: Path):
    make_folder(tmp_path / "real/cache")
    (tmp_path / "link").symlink_to("real")
    assert untrusted(tmp_path / "link/cache/native") is None
    (tmp_path / "real").chmod(0o777)
    assert untrusted(tmp_path / "link/cache/native") == f"others may write to {tmp_path / 'real'}"


def test_the_temporary_folder_stands_in_for_a_cache_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    make_folder(tmp_path / "cache")
    make_folder(tmp_path / "tmp")
    private = tmp_path / "tmp" / f"bnbench-{os.geteuid()}"
    told: list[str] = []
    with heard(told.append):
        assert kept_folders("native") == [tmp_path / "cache/bnbench/native", private / "native"] and not told
        (tmp_path / "cache").chmod(0o777)
        assert kept_folder("native") == private / "native" and kept_folder("proofs") == private / "proofs"
        keep(private / "proofs/one", "proved")
        assert kept_text(private / "proofs/one") == "proved"
    problem = f"what is kept in {tmp_path}/cache/bnbench is not used: others may write to {tmp_path}/cache"
    assert told == [f"{problem}; {private} is used instead"]
    told.clear()
    private.chmod(0o777)
    with heard(told.append):
        assert kept_folders("native") == []
    assert told == [f"{problem}; nothing is kept, and torch trains"]
