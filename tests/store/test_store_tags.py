"""Tags: given and taken by several programs at once, whatever a crash has left."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest

from bnbench.errors import BnbenchError, Damaged, InvalidRequest
from bnbench.store import belongs_to_sweep, change_tag, locked, read_tags
from tests.cli.finished import finish
from tests.store.sweeps import make_spec


@pytest.fixture
def sweep(tmp_path: Path) -> tuple[Path, list[str]]:
    return tmp_path / "s", finish(tmp_path / "s", [make_spec(seed) for seed in range(3)])


def test_tags_are_given_and_taken(sweep: tuple[Path, list[str]]):
    folder, (one, two, three) = sweep
    assert read_tags(folder) == {}
    assert change_tag(folder, [one, two], "best") == [one, two]
    assert change_tag(folder, [two, three, three], "best") == [three]
    assert change_tag(folder, [two], "odd") == [two]
    assert read_tags(folder) == {one: ["best"], two: ["best", "odd"], three: ["best"]}
    assert change_tag(folder, [one, two], "best", remove=True) == [one, two]
    assert change_tag(folder, [one], "best", remove=True) == []
    assert read_tags(folder) == {two: ["odd"], three: ["best"]}
    assert belongs_to_sweep(folder / "tags.csv")


def test_the_list_of_changes_only_grows(sweep: tuple[Path, list[str]]):
    folder, (one, *_) = sweep
    change_tag(folder, [one], "best")
    before = (folder / "tags.csv").read_bytes()
    change_tag(folder, [one], "best", remove=True)
    assert (folder / "tags.csv").read_bytes().startswith(before)


def test_a_line_that_a_crash_has_torn_is_no_tag(sweep: tuple[Path, list[str]]):
    folder, (one, two, _) = sweep
    change_tag(folder, [one], "best")
    path = folder / "tags.csv"
    path.write_bytes(path.read_bytes() + f"{two},bes".encode())
    assert read_tags(folder) == {one: ["best"]}
    change_tag(folder, [two], "odd")
    assert read_tags(folder) == {one: ["best"], two: ["odd"]} and b"bes\n" not in path.read_bytes()


def test_a_file_that_is_something_else_is_damaged(sweep: tuple[Path, list[str]]):
    folder, (one, *_) = sweep
    (folder / "tags.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Damaged, match="its first line has no column run_id"):
        read_tags(folder)
    with pytest.raises(Damaged):
        change_tag(folder, [one], "best")


def test_tags_are_given_while_a_sweep_is_trained(sweep: tuple[Path, list[str]]):
    folder, (one, *_) = sweep
    with locked(folder):
        assert change_tag(folder, [one], "best") == [one]


def _give(folder: Path, identity: str, name: str) -> None:
    for number in range(20):
        change_tag(folder, [identity], f"{name}{number}")


def test_several_writers_lose_nothing(sweep: tuple[Path, list[str]]):
    folder, (one, two, _) = sweep
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_give, args=(folder, one, name)) for name in "abc"]
    for process in others:
        process.start()
    _give(folder, two, "d")
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(read_tags(folder)[one]) == sorted(f"{name}{number}" for name in "abc" for number in range(20))
    assert read_tags(folder)[two] == [f"d{number}" for number in range(20)]
    assert len((folder / "tags.csv").read_text().splitlines()) == 81


def test_who_waits_too_long_is_told(sweep: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch):
    from bnbench.store import lock

    folder, (one, *_) = sweep
    monkeypatch.setattr(lock, "TAGGERS_PATIENCE", 0.1)
    with lock.tagging(folder):
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                change_tag(folder, [one], "best")
            except BnbenchError as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(30)
    assert "are being changed by another bnbench" in str(errors[0])


@pytest.mark.parametrize("tag", ["", "a b", ".a", "-a", "a,b", "a\n", "\x1b", "a" * 41, "a=b"])
def test_what_is_no_tag(sweep: tuple[Path, list[str]], tag: str):
    folder, (one, *_) = sweep
    with pytest.raises(InvalidRequest, match="must be one word such as best"):
        change_tag(folder, [one], tag)
    assert not (folder / "tags.csv").exists()
