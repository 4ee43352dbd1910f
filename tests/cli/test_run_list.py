"""bnbench ls of runs: which are listed, in which form, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bnbench.store import enter_runs
from tests import warm
from tests.budget import slowness
from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program
from tests.store.sweeps import evaluations

SPECS = [make_spec(seed, norm) for norm in ("none", "batch") for seed in range(4)]
IDS = [run_id(spec) for spec in SPECS]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of eight runs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SPECS)
    return Path("results/small")


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_the_runs_of_a_sweep(reader: Program, sweep: Path):
    listed = reader("ls", "small")
    assert listed.code == 0 and listed.err == ""
    header, *lines = rows(listed.out)
    assert header == [*("run_id", "norm", "optim", "seed", "status", "train_accuracy", "val_accuracy", "test_accuracy")]
    assert [line[0] for line in lines] == IDS
    last = evaluations(SPECS[0])[-1]
    accuracies = [last["train_accuracy"], last["val_accuracy"], 1 / 3]
    assert lines[0] == [IDS[0], "none", "adam", "0", "completed", *map(repr, accuracies)]


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (("small", "norm=batch", "status!=failed"), [4, 5, 7]),
        (("norm=batch", "seed>1"), [6, 7]),
        (("./results/small", "seed=range(2)", "norm=none"), [0, 1]),
        (("small", "--sort=-seed,norm"), [7, 3, 6, 2, 5, 1, 4, 0]),
        (("--sort", "-seed", "seed=0,3", "norm=none"), [3, 0]),
        (("small", "seed=0", "small2", "status=failed"), None),
    ],
)
def test_chosen_runs(reader: Program, sweep: Path, words: tuple[str, ...], runs: list[int] | None):
    listed = reader("ls", *words)
    if runs is None:
        assert listed.code == 2 and "'small2': sweeps stand before conditions" in listed.err
        return
    assert listed.code == 0, listed.err
    assert [line[0] for line in rows(listed.out)[1:]] == [IDS[place] for place in runs]


def test_several_sweeps_are_told_apart(reader: Program, sweep: Path):
    finish(Path("results/other"), [make_spec(9, "group", groups=4)])
    header, *lines = rows(reader("ls", "other", "small", "seed=0,9", "--columns", "sweep,norm.groups,seed").out)
    assert header == ["sweep", "norm.groups", "seed"]
    assert lines == [["other", "4", "9"], ["small", "", "0"], ["small", "", "0"]]
    assert rows(reader("ls", "seed=0,9").out)[0][:3] == ["sweep", "run_id", "norm"]


def test_forms_for_programs_have_literal_values(reader: Program, sweep: Path):
    words = ("ls", "small", "norm=none", "seed<3", "--columns", "run_id,seed,test_accuracy,drop_last,status,error")
    said = json.loads(reader(*words, "--json").out)
    assert said[0] == {
        **{"run_id": IDS[0], "seed": 0, "test_accuracy": 1 / 3, "drop_last": False, "status": "completed"},
        "error": None,
    }
    assert [record["error"] for record in said[1:]] == ["Boom: of course"] * 2
    table = list(csv.DictReader(io.StringIO(reader(*words, "--csv").out)))
    assert [row["test_accuracy"] for row in table] == [repr(1 / 3), "", ""]
    whole = list(csv.DictReader(io.StringIO(reader("ls", "small", "--columns", "all", "--csv").out)))
    stored = list(csv.DictReader(io.StringIO((sweep / "runs.csv").read_text())))
    assert [{name: row[name] for name in stored[0]} for row in whole] == stored


def test_sweeps_for_programs(reader: Program, sweep: Path):
    (said,) = json.loads(reader("ls", "--json").out)
    assert (said["sweep"], said["runs"]) == ("small", 8)
    assert said["statuses"] == {"completed": 4, "diverged": 2, "failed": 2}
    assert reader("ls", "--csv").out.splitlines()[1].startswith('small,8,"4 completed, 2 diverged, 2 failed",2')


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("absent",), "no sweep 'absent' in results; there are: small"),
        (("small", "nrom=batch"), "did you mean 'norm'?"),
        (("small", "norm>1"), "norm holds text"),
        (("small", "--sort", "sed"), "--sort 'sed': no such column; did you mean 'seed'?"),
        (("small", "--columns", "run_id,sed"), "--columns 'sed': no such column"),
        (("small", "--json", "--csv"), "--json and --csv: give one of them"),
        (("small", "status=done"), "Allowed: planned, running"),
    ],
)
def test_refusals(reader: Program, sweep: Path, words: tuple[str, ...], says: str):
    refused = reader("ls", *words)
    assert refused.code == 2 and says in refused.err and refused.err.count("\n") == 1 and not refused.out


def test_a_condition_that_no_run_meets_is_told(reader: Program, sweep: Path):
    listed = reader("ls", "small", "norm=bacth")
    assert listed.code == 0 and "norm=bacth: no run has it; did you mean 'batch'?" in listed.err
    assert rows(listed.out) == [["run_id", "status"]]


def test_where_there_are_no_sweeps_it_is_told(reader: Program):
    listed = reader("ls", "norm=batch")
    assert listed.code == 0 and listed.err == "no runs in results\n" and "no sweep 'a'" in reader("ls", "a").err


def test_a_damaged_sweep_hides_no_other(reader: Program, sweep: Path):
    finish(Path("results/bad"), SPECS[:1])
    Path("results/bad/runs.csv").write_text("nothing\n")
    listed = reader("ls", "seed=0")
    assert listed.code == 1 and len(rows(listed.out)) == 3 and "not looked into: results/bad: damaged" in listed.err
    assert reader("ls", "bad", "seed=0").code == 2


def test_no_cell_steers_a_terminal_or_breaks_a_line(reader: Program, sweep: Path):
    path = sweep / "runs.csv"
    path.write_text(path.read_text().replace("Boom: of course", "\x1b[2J\tBoom"))
    for form in ((), ("--csv",), ("--json",)):
        said = reader("ls", "small", "--columns", "error", *form).out
        assert "\x1b" not in said and "\t" not in said and "[2J" in said, form


def on_terminal(words: list[str], columns: int) -> str:
    """All that the program shows on a terminal of so many columns."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    process = warm.Popen([sys.executable, "-m", "bnbench", *words], stdout=slave, env=environment)
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    assert process.wait() == 0
    os.close(master)
    return b"".join(parts).decode().replace("\r", "")


@pytest.mark.parametrize("columns", [60, 120])
def test_a_table_fits_the_terminal(sweep: Path, columns: int):
    shown = on_terminal(["ls", "small", "norm=batch"], columns)
    lines = [line for line in shown.splitlines() if "\x1b" not in line]
    assert lines and all(len(line) <= columns for line in lines)
    assert all(any(line.startswith(identity) for line in lines) for identity in IDS[4:])
    assert "diverged" in shown and "0.041" in shown and repr(1 / 26) not in shown


def test_ten_thousand_runs_in_a_second_and_a_half(tmp_path: Path):
    specs = [make_spec(seed, norm) for norm in ("none", "batch") for seed in range(5000)]
    enter_runs(tmp_path / "results/big", specs, {}, {})
    words = [sys.executable, "-m", "bnbench", "ls", "big", "seed>=100", "norm=batch", "--sort", "-seed"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert len(done.stdout.splitlines()) == 4901
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5 * slowness()
