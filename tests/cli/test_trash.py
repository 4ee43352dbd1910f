"""bnbench rm, restore, rename and merge: what they say, and what they refuse before anything is touched."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from bnbench import store
from tests import warm
from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program

SMALL, MORE = [make_spec(seed) for seed in range(4)], [make_spec(seed) for seed in (3, 4)]
IDS = [run_id(spec) for spec in SMALL]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SMALL)
    finish(Path("results/more"), MORE)
    return Path("results")


def listed(reader: Program, sweep: str) -> list[str]:
    return [line.split("\t")[0] for line in reader("ls", sweep).out.splitlines()[1:]]


def test_a_sweep_there_and_back(reader: Program):
    before = reader("ls").out
    gone = reader("rm", "small")
    name = next(Path("results/.trash").iterdir()).name
    assert gone.code == 0
    assert gone.out == f"moved small to the trash; put back with: bnbench restore {name}\n"
    assert "small" not in reader("ls").out
    back = reader("restore", name)
    assert back.code == 0 and back.out == f"put back {name}: results/small\n" and reader("ls").out == before


def test_runs_there_and_back(reader: Program):
    gone = reader("rm", IDS[0], f"small/{IDS[3][:7]}", IDS[2])
    assert gone.code == 0 and "moved 3 runs of small to the trash; put back with: bnbench restore small-2" in gone.out
    assert f"reports of small no longer count {IDS[0]} and {IDS[3]}, which have results" in gone.out
    assert listed(reader, "small") == [IDS[1]] and IDS[3] in listed(reader, "more")
    assert reader("restore", "small").code == 0
    assert sorted(listed(reader, "small")) == sorted(IDS)


def test_a_results_folder_elsewhere_is_said(reader: Program):
    Path("results").rename("elsewhere")
    gone = reader("rm", "small", "--results", "elsewhere")
    assert gone.out.endswith("--results elsewhere\n")
    assert reader(*gone.out.split("bnbench ")[1].split()).code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rm",), "name sweeps or runs, or say --empty-trash"),
        (("rm", "small", "--empty-trash"), "name sweeps or runs, or say --empty-trash"),
        (("rm", "small", "absent"), "'absent' is neither a sweep nor the beginning of a run"),
        (("rm", IDS[0], IDS[3]), f"run '{IDS[3]}' is in 2 sweeps; say which: more/{IDS[3]}, small/{IDS[3]}"),
        (("rm", IDS[0], "r"), "run 'r': could be"),
        (("rm", "more", IDS[0][:6] + "x"), "neither a sweep nor"),
        (("restore", "small"), "'small' is not in the trash results/.trash; it is empty"),
        (("rename", "small", "more"), "results/more is there already; choose another name"),
        (("rename", "small", "a/b"), "must be a plain folder name"),
        (("rename", "absent", "b"), "no sweep 'absent' in results; there are: more, small"),
        (("merge", "small"), "name at least one sweep, then the one that its runs come into"),
        (("merge", "small", "small"), "'small': a sweep cannot be merged into itself"),
        (("merge", "small", "absent", "all"), "no sweep 'absent' in results"),
        (("merge", "small", "more", "a/b"), "must be a plain folder name"),
    ],
)
def test_refusals_touch_nothing(reader: Program, words: tuple[str, ...], says: str):
    before = {str(path) for path in Path().rglob("*")}
    refused = reader(*words)
    assert refused.code == 2 and says in refused.err and not refused.out
    assert {str(path) for path in Path().rglob("*")} == before


def test_a_word_that_is_a_sweep_and_a_run_removes_neither(reader: Program):
    finish(Path("results") / IDS[0][:5], MORE)
    refused = reader("rm", IDS[0][:5])
    assert refused.code == 2 and f"is a sweep and the beginning of a run, small/{IDS[0]}" in refused.err
    assert reader("rm", f"./results/{IDS[0][:5]}").code == 0 and len(listed(reader, "small")) == 4


@pytest.mark.parametrize("words", [("rm", "more", "small"), ("rm", f"small/{IDS[0]}"), ("rename", "small", "b")])
def test_a_sweep_that_is_trained_stays(reader: Program, words: tuple[str, ...]):
    with store.locked(Path("results/small")):
        refused = reader(*words)
    assert refused.code == 2 and "results/small is in use by another bnbench" in refused.err
    assert len(listed(reader, "small")) == 4 and len(listed(reader, "more")) == 2


def test_the_trash_is_emptied_when_somebody_agrees(reader: Program):
    assert "there is nothing in the trash" in reader("rm", "--empty-trash").out
    assert reader("rm", "more").code == 0
    (place,) = Path("results/.trash").iterdir()
    refused = reader("rm", "--empty-trash")
    assert refused.code == 2 and f"Delete for good {place.name}? Say --yes" in refused.err and place.is_dir()
    assert reader("rm", "--empty-trash", "--yes").out == f"deleted {place.name}\n" and not place.exists()


@pytest.mark.parametrize(("answer", "is_there"), [(b"n\n", True), (b"\n", True), (b"y\n", False)])
def test_a_terminal_is_asked(reader: Program, answer: bytes, is_there: bool):
    assert reader("rm", "more").code == 0
    (place,) = Path("results/.trash").iterdir()
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "bnbench", "rm", "--empty-trash"]
    process = warm.Popen(words, stdin=slave, stdout=slave)
    os.close(slave)
    os.write(master, answer)
    assert process.wait(60) == 0
    os.close(master)
    assert place.is_dir() == is_there


def test_another_name_and_one_of_all(reader: Program):
    assert reader("rename", "small", "first").out == "small is first now: results/first\n"
    did = reader("merge", "first", "more", "all")
    assert did.code == 0 and did.out == "all: 5 runs added, 1 the same\n" and did.err == ""
    assert listed(reader, "all") == [*IDS, run_id(MORE[1])]
    assert reader("report", "all").code == 0


def test_what_is_put_back_beside_other_results_is_refused_with_the_way_on(reader: Program):
    assert reader("rm", f"more/{IDS[3]}").code == 0
    finish(Path("results/more"), [SMALL[3]], test_accuracy=0.5)
    refused = reader("restore", "more")
    assert refused.code == 2 and "nothing was put back" in refused.err and "--keep-conflicts" not in refused.err
    assert reader("rm", f"more/{IDS[3]}").code == 0
    first = min(path.name for path in Path("results/.trash").iterdir())
    assert reader("restore", first).code == 0


def test_contradicting_results_are_named(reader: Program):
    path = Path("results/more/runs.csv")
    path.write_text(path.read_text().replace(repr(1 / 6), "0.5"))
    refused = reader("merge", "small", "more", "all")
    assert refused.code == 2 and f"run {IDS[3]}: test_accuracy is 0.16666666666666666 in small and 0.5" in refused.err
    assert "--keep-conflicts" in refused.err and "bnbench rm SWEEP/RUN" in refused.err
    assert not Path("results/all").exists()
    kept = reader("merge", "small", "more", "both", "--keep-conflicts")
    assert kept.code == 0 and kept.out == (
        "both: 5 runs added, 1 with another result put into conflicts/\n"
        f"not counted: the result of {IDS[3]} in more, kept in results/both/conflicts\n"
    )
    assert "0.16666666666666666" in reader("ls", "both", "--csv").out and "0.5" not in reader("ls", "both", "--csv").out
    assert "0.5" in reader("ls", "both/conflicts/more", "--csv").out
    assert "test_accuracy" in reader("diff", "both", "both/conflicts/more").out
    assert reader("rm", "both").code == 0
    assert reader("rm", f"more/{IDS[3]}").code == 0
    assert reader("merge", "small", "more", "all").code == 0
