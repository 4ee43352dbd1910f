"""Damage to a sweep's folder, whoever meets it: named in one line, the others shown, nothing lost."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bnbench.cli import main
from tests.conftest import Program, Result
from tests.products import long

Change = Callable[[Path], None]

SMALL = ("model=mlp", "model.width=8", "epochs=2")
SWEEP = ("sweep", "--name", "s", "--jobs", "1", *SMALL, "norm=none,batch", "seed=0,1", "probes=[gradient_flow]")
HEALTHY = ("sweep", "--name", "healthy", "--jobs", "1", *SMALL, "seed=7")
STUDY = ("study", "run", "memory", "--scale", "smoke", "--jobs", "1")
DAMAGED = ("s", "study-memory-smoke")
"""The folders that are damaged, both in the same way."""
HUGE = "9" * 23


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep, a healthy one and a study, all finished."""
    here = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for words in (SWEEP, HEALTHY, STUDY):
            patch.setattr(sys, "argv", ["bnbench", *words])
            with pytest.raises(SystemExit) as end:
                main()
            assert not end.value.code
    return here


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def save(path: Path, lines: list[list[str]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


def cell(name: str, column: str, value: str) -> Change:
    """Put another value into the last row of a table."""

    def change(folder: Path) -> None:
        lines = table(folder / name)
        lines[-1][lines[0].index(column)] = value
        save(folder / name, lines)

    return change


def lines(name: str, edit: Callable[[list[list[str]]], list[list[str]]]) -> Change:
    def change(folder: Path) -> None:
        save(folder / name, edit(table(folder / name)))

    return change


def without(column: str) -> Callable[[list[list[str]]], list[list[str]]]:
    def edit(found: list[list[str]]) -> list[list[str]]:
        place = found[0].index(column)
        return [line[:place] + line[place + 1 :] for line in found]

    return edit


def content(name: str, edit: Callable[[bytes], bytes]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return change


def instead(name: str, make: Callable[[Path], object]) -> Change:
    """Put something else in place of a file or folder."""

    def change(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return change


def segment(make: Callable[[Path], object]) -> Change:
    """Put something in place of what a worker writes."""

    def change(folder: Path) -> None:
        (folder / "segments").mkdir()
        make(folder / "segments" / "x.runs.csv")

    return change


def gone(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()

    return change


def entry(**values: object) -> Change:
    """Put other values into the newest entry of sweep.yaml."""

    def change(folder: Path) -> None:
        history = yaml.safe_load((folder / "sweep.yaml").read_text())
        history[-1] |= values
        (folder / "sweep.yaml").write_text(yaml.safe_dump(history))

    return change


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (lambda path: path.mkdir(), "it must be a file, and is a folder"),
    "pipe": (os.mkfifo, "it must be a file, and is a pipe"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "it is a link that leads nowhere"),
    "loop": (lambda path: path.symlink_to(path.name), "it is a link that leads nowhere"),
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 9), "its end is missing"),
    "text": (lambda path: path.write_text("some text\n"), "its first line has no column run_id"),
}

REFUSED: dict[str, tuple[str, Change, str]] = {
    **{f"{name} {kind}": (name, instead(name, make), says)
       for name in ("runs.csv", "metrics.csv", "probes.csv") for kind, (make, says) in FOREIGN.items()},
    **{f"sweep.yaml {kind}": ("sweep.yaml", instead("sweep.yaml", make), says)
       for kind, (make, says) in FOREIGN.items() if kind in ("folder", "pipe", "dangling", "loop")},
    **{f"{name} file": (name, instead(name, lambda path: path.write_text("")), "it must be a folder, and is a file")
       for name in ("specs", "logs", "segments")},
    "specs dangling": ("specs", instead("specs", lambda path: path.symlink_to("nowhere")),
                       "it must be a folder, and is a link that leads nowhere"),
    ".lock folder": (".lock", instead(".lock", lambda path: path.mkdir()), "it must be an empty file, and is a folder"),
    "segment pipe": ("segments/x.runs.csv", segment(os.mkfifo), "it must be a file, and is a pipe"),
    "segment status": (
        "segments/x.runs.csv",
        segment(lambda path: path.write_text("run_id,status,error,finished_at\nr0,done,,\n")),
        "status='done' of run r0: Allowed: planned, running",
    ),
    "runs.csv gone": ("runs.csv", gone("runs.csv"), "it is missing, but sweep.yaml says 4 and metrics.csv has r"),
    "only metrics.csv": ("runs.csv", gone("runs.csv", "specs", "sweep.yaml", "probes.csv"),
                         "it is missing, but metrics.csv has r"),
    "rows": ("runs.csv", lines("runs.csv", lambda found: found[:-2]), "it has 2 runs, but sweep.yaml says 4 and"),
    "all rows": ("runs.csv", lines("runs.csv", lambda found: found[:1]), "it has 0 runs, but sweep.yaml says 4 and"),
    "rows and sweep.yaml": ("runs.csv", both(lines("runs.csv", lambda found: found[:-1]), gone("sweep.yaml")),
                            "it has 3 runs, but metrics.csv has r"),
    "rows that specs know": (
        "runs.csv",
        both(lines("runs.csv", lambda found: found[:-1]), gone("sweep.yaml", "metrics.csv", "probes.csv")),
        "it has 3 runs, but specs has r"),
    "rows that probes.csv knows": (
        "runs.csv", both(lines("runs.csv", lambda found: found[:-1]), gone("sweep.yaml", "metrics.csv", "specs")),
        "it has 3 runs, but probes.csv has r"),
    "fewer than asked for": ("runs.csv", entry(runs=48), "it has 4 runs, but sweep.yaml says 48"),
    "doubled": ("runs.csv", content("runs.csv", lambda found: found * 2), "line 6 is its first line again"),
    "metrics.csv doubled": ("metrics.csv", content("metrics.csv", lambda found: found * 2), "is its first line again"),
    "run twice": ("runs.csv", lines("runs.csv", lambda found: [*found, found[-1]]), "is there more than once"),
    "line cut": ("runs.csv", content("runs.csv", lambda found: found[:-30]), "its end is missing (line 5 is cut off)"),
    "cell lost": ("runs.csv", content("runs.csv", lambda found: found[:-30] + b"\n"), "line 5 has"),
    "bytes": ("runs.csv", content("runs.csv", lambda found: found.replace(b"completed", b"\xff\xfe", 1)),
              "line 2 cannot be read"),
    "nul": ("runs.csv", cell("runs.csv", "status", "\x00"), "status='\\x00' of run r"),
    "metrics.csv cut": ("metrics.csv", content("metrics.csv", lambda found: found[:-9]), "its end is missing"),
    "column twice": ("runs.csv", lines("runs.csv", lambda found: [[*line, line[3]] for line in found]),
                     "its first line has column norm twice"),
    **{f"no column {column}": ("runs.csv", lines("runs.csv", without(column)),
                               f"its first line has no column {column}")
       for column in ("run_id", "status", "lr", "seed", "norm", "val_accuracy", "steps_done", "finished_at")},
    **{f"{name} without column {column}": (name, lines(name, without(column)),
                                           f"its first line has no column {column}")
       for name, column in (("metrics.csv", "val_accuracy"), ("metrics.csv", "step"), ("probes.csv", "value"))},
    **{f"{column}={value}": ("runs.csv", cell("runs.csv", column, value), f"{column}={value!r} of run r")
       for column, value in (
           ("status", "done"), ("status", ""), ("lanes", "abc"), ("lanes", "-1"), ("lanes", "1.5"),
           ("steps_done", HUGE), ("diverged_step", "-1"), ("examples_done", "-5"), ("epochs_done", "inf"),
           ("seconds", "-1"), ("seconds", "nan"), ("seconds", "inf"), ("classes", "0"), ("parameters", "many"),
           ("val_accuracy", "inf"), ("test_accuracy", "1.5"), ("train_accuracy", "-0.1"),
           ("best_val_accuracy", "high"), ("test_loss", "low"), ("train_loss", "1_0"),
           ("batch_size", "0"), ("batch_size", "abc"), ("lr", "-0.1"), ("lr", "abc"), ("lr", "inf"), ("seed", "1.5"),
           ("epochs", HUGE), ("drop_last", "maybe"), ("optim.nesterov", "2"), ("split.validation", "7"),
           ("evaluate.every", "0"), ("schedule.warmup", "warm"),
       )},
    "no run_id": ("runs.csv", cell("runs.csv", "run_id", ""), "a row has no run_id"),
    "another run_id": ("runs.csv", cell("runs.csv", "run_id", "r00000000000"), "it has 4 runs, but metrics.csv has r"),
    **{f"sweep.yaml {name}": ("sweep.yaml", change, says) for name, change, says in (
        ("mapping", content("sweep.yaml", lambda found: b"runs: 4\n"), "it must hold a list, one entry per call, not"),
        ("texts", content("sweep.yaml", lambda found: b"- a\n- b\n"), "entry 1: must hold keys and values, not str"),
        ("number", content("sweep.yaml", lambda found: found + b"- 5\n"), "entry 2: must hold keys and values"),
        ("lanes", entry(lanes="abc"), "entry 1: lanes='abc': must hold a number of runs for each kind of stack"),
        ("lanes -1", entry(lanes={"s0": -1}), "entry 1: lanes.s0=-1: must be a whole number, at least 1"),
        ("lanes true", entry(lanes={"s0": True}), "entry 1: lanes.s0=True: must be a whole number, at least 1"),
        ("lanes text", entry(lanes={"s0": "2"}), "entry 1: lanes.s0='2': must be a whole number, at least 1"),
        ("lanes key", entry(lanes={7: 2}), "entry 1: lanes.7=2: "),
        ("runs", entry(runs="many"), "entry 1: runs='many': must be a whole number, at least 0"),
        ("runs -1", entry(runs=-1), "entry 1: runs=-1: must be a whole number, at least 0"),
        ("date", content("sweep.yaml", lambda found: found + b"- time: 2026-13-45\n"), "it is not YAML that can be"),
        ("object", content("sweep.yaml", lambda found: b"- !!python/object:a.B {}\n"), "it is not YAML that can be"),
        ("cut", content("sweep.yaml", lambda found: found + b"- {a: ["), "it is not YAML that can be read"),
        ("deep", content("sweep.yaml", lambda found: b"[" * 400 + b"]" * 400), "entry 1: must hold keys and"),
        ("binary", content("sweep.yaml", lambda found: bytes(range(256))), "it is not YAML that can be read"),
    )},
}  # fmt: skip
"""By name, the file that must be named, what is done to the folder, and what must be said of it."""

SERIES: dict[str, tuple[str, Change, str]] = {
    f"{name} {column}={value}": (name, cell(name, column, value), f"{column}={value!r}")
    for name, column, value in (
        ("metrics.csv", "step", HUGE), ("metrics.csv", "step", "-1"), ("metrics.csv", "step", ""),
        ("metrics.csv", "step", "1.5"), ("metrics.csv", "epoch", "-1"), ("metrics.csv", "examples", HUGE),
        ("metrics.csv", "examples", "few"), ("metrics.csv", "lr", "inf"), ("metrics.csv", "val_accuracy", "inf"),
        ("metrics.csv", "train_accuracy", "2"), ("metrics.csv", "val_loss", "low"),
        ("probes.csv", "step", HUGE), ("probes.csv", "step", "first"), ("probes.csv", "value", "much"),
    )
}  # fmt: skip
"""Numbers that only who reads the table meets: a finished sweep is listed, and left as it is."""
SERIES["metrics.csv gone"] = ("metrics.csv", gone("metrics.csv"), "it lacks evaluations of 4 of 4 completed runs")

HARMLESS: dict[str, tuple[str, Change]] = {
    "extra column": ("", lines("runs.csv", lambda found: [[*line, "note"] for line in found])),
    "extra column of metrics": ("", lines("metrics.csv", lambda found: [[*line, "note"] for line in found])),
    "byte order mark": ("", content("runs.csv", lambda found: b"\xef\xbb\xbf" + found.replace(b"\n", b"\r\n"))),
    "option of any type": ("", cell("runs.csv", "norm.eps", "abc")),
    "version of the future": ("", cell("runs.csv", "version", "99.9-unknown")),
    "losses": ("", both(cell("runs.csv", "train_loss", "nan"), cell("metrics.csv", "val_loss", "inf"))),
    "sweep.yaml gone": ("sweep.yaml is missing or empty", gone("sweep.yaml")),
    "sweep.yaml empty": ("sweep.yaml is missing or empty", content("sweep.yaml", lambda found: b"")),
    "specs gone": ("", gone("specs")),
    "lock gone": ("", gone(".lock", ".writers")),
    "stranger": ("", instead("notes.txt", lambda path: path.write_bytes(bytes(range(256))))),
}
"""What must not stop anybody, with what is noted."""
ALIKE = ("option of any type", "version of the future", "sweep.yaml empty", "stranger", "losses")
"""Cells, files and entries that are as little known as others that are tried."""


@pytest.fixture
def results(original: Path, program: Program, tmp_path: Path) -> Path:
    """A copy of the original in the current folder."""
    shutil.copytree(original / "results", tmp_path / "results")
    return tmp_path / "results"


def snapshot(results: Path) -> dict[str, bytes | str]:
    """Everything in a folder but the locks that readers and writers open."""
    return {
        str(path.relative_to(results)): path.read_bytes()
        if path.is_file()
        else str(path.readlink() if path.is_symlink() else path.stat().st_mode)
        for path in results.rglob("*")
        if path.name not in (".lock", ".writers")
    }


def identity(results: Path, name: str) -> str:
    """The run in the last row of a sweep."""
    return table(results / name / "runs.csv")[-1][0]


def check_told(result: Result, code: int, *says: str) -> None:
    told = result.out + result.err
    assert result.code == code, told
    assert "Traceback" not in told and "bug in bnbench" not in told, told
    flat = " ".join(told.split())
    for text in says:
        assert text in flat, told


def tried_by_all(damage: str) -> bool:
    """One damage of each file, and some of what is in them: all commands read a file by the same functions."""
    first: dict[tuple[str, bool], str] = {}
    for other, (name, *_) in (REFUSED | SERIES).items():
        first.setdefault((name, other in REFUSED), other)
    return damage in (*first.values(), "rows", "status=done", "metrics.csv without column step", "sweep.yaml lanes")


@pytest.mark.parametrize("damage", [*REFUSED, *SERIES])
def test_what_is_damaged_is_named(program: Program, results: Path, damage: str):
    """By the command that lists all, or else by the first that reads the table."""
    name, change, says = (REFUSED | SERIES)[damage]
    read_by_all, run = damage in REFUSED, identity(results, "s")
    for folder in DAMAGED:
        change(results / folder)
    before = snapshot(results)
    if read_by_all:
        listed = program("ls")
        check_told(listed, 1, "healthy 1 1 completed", says, f"results/s/{name}")
        assert listed.out.count("damaged: ") == len(DAMAGED)
    elif name == "probes.csv":
        check_told(
            program("show", run), 2, f"no run starts with {run!r}", says, "not looked into: results/s: damaged: "
        )
    else:
        check_told(program("report", "s"), 2, says, f"results/s/{name} is damaged: ")
    assert snapshot(results) == before


@pytest.mark.parametrize(
    "damage", [pytest.param(one, marks=() if tried_by_all(one) else long) for one in [*REFUSED, *SERIES]]
)
def test_what_is_damaged_is_named_by_every_command(program: Program, results: Path, damage: str):
    name, change, says = (REFUSED | SERIES)[damage]
    read_by_all = damage in REFUSED
    run, other = identity(results, "s"), identity(results, "healthy")
    for folder in DAMAGED:
        change(results / folder)
    before = snapshot(results)
    healthy = program("show", other)
    check_told(healthy, int(read_by_all), f"run_id {other}")
    assert healthy.err.count("not looked into: ") == len(DAMAGED) * read_by_all
    shown = program("show", run)
    check_told(shown, 2, f"no run starts with {run!r}", says, "not looked into: results/s: damaged: ")
    for words in (("report", "s"), ("report", "healthy", "results/s")):
        reported = program(*words)
        if not read_by_all and name == "probes.csv":  # which no report reads
            check_told(reported, 0)
            continue
        check_told(reported, 2, says, f"results/s/{name} is damaged: ")
        assert reported.err.count("\n") == 1 and reported.out == ""
    check_told(program("report", "healthy"), 0)
    for words in (SWEEP, ("run", "--name", "s", *SMALL)) if read_by_all else (SWEEP,):
        again = program(*words)
        check_told(again, 2 * read_by_all, *([says, f"results/s/{name} is damaged: "] * read_by_all))
        assert again.err.count("\n") == int(read_by_all)
    for words in (STUDY, ("study", "show", "memory", "--scale", "smoke")) if read_by_all else (STUDY,):
        asked = program(*words)
        check_told(asked, 2, says, f"results/study-memory-smoke/{name} is damaged: ")
        assert asked.err.count("\n") == 1
    assert snapshot(results) == before


@pytest.mark.parametrize("damage", [pytest.param(one, marks=long if one in ALIKE else ()) for one in HARMLESS])
def test_what_is_no_damage_stops_nobody(program: Program, results: Path, damage: str):
    says, change = HARMLESS[damage]
    run = identity(results, "s")
    for folder in DAMAGED:
        change(results / folder)
    before = snapshot(results)
    for words in (("ls",), ("show", run), ("report", "s"), SWEEP, STUDY):
        result = program(*words)
        check_told(result, 0, *([says] * (bool(says) and words != STUDY)))
        assert "damaged" not in result.out + result.err
    after = snapshot(results)
    assert {path for path in before if "scorecard" not in path and before[path] != after.get(path)} == set()
    assert program(*SWEEP[:-2], "--extend", "seed=0,1,2", SWEEP[-1]).code == 0
    assert len({row[0] for row in table(results / "s/runs.csv")[1:]}) == 6
    kept = {name: before[f"s/{name}"] for name in ("runs.csv", "metrics.csv")}
    for name, saved in kept.items():
        assert isinstance(saved, bytes)
        now = (results / "s" / name).read_bytes()
        known = {line.split(b",")[0] for line in saved.replace(b"\xef\xbb\xbf", b"").splitlines()}
        assert known <= {line.split(b",")[0] for line in now.splitlines()}
        if damage == "extra column" and name == "runs.csv":
            assert now.splitlines()[0].count(b"note") == 1 and now.count(b"note") == 5


def test_a_folder_of_results_without_a_sweep_is_none(program: Program, results: Path):
    (results / "loop").symlink_to("loop")
    (results / "nowhere").symlink_to("absent")
    (results / "empty").mkdir()
    (results / "notes.csv").write_text("run_id\n")
    os.mkfifo(results / "pipe")
    listed = program("ls")
    check_told(listed, 0, "healthy", "study-memory-smoke")
    assert not any(name in listed.out for name in ("loop", "nowhere", "empty", "notes", "pipe"))
    assert "did you mean" in (refused := program("report", "helthy")).err or "there are: healthy" in refused.err
