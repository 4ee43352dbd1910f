"""bnbench tag: given to runs, shown and found by ls and show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program

SPECS = [make_spec(seed) for seed in range(3)]
IDS = [run_id(spec) for spec in SPECS]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SPECS)
    finish(Path("results/more"), SPECS[:1])


def listed(reader: Program, *words: str) -> list[str]:
    return [line.split("\t")[0] for line in reader("ls", *words).out.splitlines()[1:]]


def test_a_tag_is_given_shown_found_and_taken(reader: Program):
    given = reader("tag", f"small/{IDS[0]}", IDS[1][:6], "best")
    assert given.code == 0 and given.out == "small: 2 runs have the tag best\n"
    assert listed(reader, "small", "tag=best") == IDS[:2] and listed(reader, "small", "tag!=best") == IDS[2:]
    assert reader("ls", "small").out.splitlines()[1].endswith("\tbest")
    assert "tags" in reader("show", IDS[1]).out and "tags" not in reader("show", f"more/{IDS[0]}").out
    assert reader("tag", IDS[1], "best").out == "small: all runs had it already\n"
    assert reader("tag", "--remove", IDS[1], "best").out == "small: 1 run no longer has the tag best\n"
    assert reader("tag", "--remove", IDS[1], "best").out == "small: no run had it\n"
    assert listed(reader, "small", "tag=best") == IDS[:1]


def test_a_run_of_two_sweeps_has_it_in_both(reader: Program):
    assert reader("tag", IDS[0], "best").code == 0
    assert listed(reader, "tag=best", "--columns", "sweep") == ["more", "small"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("best",), "name the runs, then the tag; there is only 'best'"),
        ((IDS[0], "a b"), "tag 'a b': must be one word such as best"),
        ((IDS[0], "zz", "best"), "no run starts with 'zz' in results"),
        (("r", "best"), "run 'r': could be"),
        (("small", "best"), "'small' is a sweep, and no run"),
    ],
)
def test_refusals_write_nothing(reader: Program, words: tuple[str, ...], says: str):
    refused = reader("tag", *words)
    assert refused.code == 2 and says in refused.err and not refused.out
    assert not list(Path("results").glob("*/tags.csv"))
