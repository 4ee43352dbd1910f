"""bnbench show: a run with its curves, its tags and the end of its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnbench import store
from bnbench.cli.curves import curve
from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program

SPECS = [make_spec(seed) for seed in range(3)]
COMPLETED, DIVERGED, FAILED = (run_id(spec) for spec in SPECS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SPECS)
    return Path("results/small")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1.0, 2.0, 3.0], "▁▅█  1 to 3"),
        ([3.0, float("nan"), 1.0], "█x▁  3 to 1"),
        ([0.5], "▁  0.5 to 0.5"),
        ([2.0, float("inf")], "▁x  2 to inf"),
        ([float("nan")], "x  nan to nan"),
        ([-1e308, 1e308], "▁█  -1e+308 to 1e+308"),
        ([], ""),
        ([float(number) for number in range(121)], None),
    ],
)
def test_a_curve(monkeypatch: pytest.MonkeyPatch, values: list[float], line: str | None):
    monkeypatch.setattr("bnbench.cli.curves._heights", lambda: "▁▂▃▄▅▆▇█")
    if line is None:
        heights, _, words = curve(values).partition("  ")
        assert len(heights) == 60 and heights[0] == "▁" and heights[-1] == "█" and words == "0 to 120"
        assert list(heights) == sorted(heights)
    else:
        assert curve(values) == line


def test_curves_and_evaluations(reader: Program):
    shown = reader("show", COMPLETED)
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    (losses,) = (line for line in lines if line[:1] == ["val_loss"] and "to" in line)
    assert losses == ["val_loss", "█▃▁", "0.0909091", "to", "0.04"]
    assert ["3", "1", "192", "0.0454545", "0.0434783", "0.0416667", "0.04", "0.0384615"] in lines
    assert ["landscape", "4", "8"] in lines


def test_tags_are_shown(reader: Program, folder: Path):
    store.change_tag(folder, [COMPLETED], "best")
    store.change_tag(folder, [COMPLETED], "checked")
    assert ["tags", "best,", "checked"] in [line.split() for line in reader("show", COMPLETED).out.splitlines()]


def test_the_end_of_the_log_of_a_run_that_failed(reader: Program, folder: Path):
    (folder / "logs").mkdir(exist_ok=True)
    log = folder / "logs" / f"{FAILED}.log"
    log.write_text("".join(f"line {number}\n" for number in range(50)) + "\x1b[2JValueError: Boom\n")
    shown = reader("show", FAILED)
    assert shown.code == 0 and "\x1b" not in shown.out
    *_, before, end, empty, status, place, again = shown.out.splitlines()
    assert (before, end, empty) == ("  line 49", r"  \x1b[2JValueError: Boom", "")
    assert status == "failed: Boom: of course" and place == f"log: {log}" and again.startswith("again: bnbench run")
    assert "line 39" in shown.out and "line 38" not in shown.out


def test_a_run_of_one_sweep(reader: Program):
    finish(Path("results/other"), SPECS)
    assert "in 2 sweeps" in reader("show", COMPLETED).out
    shown = reader("show", f"other/{COMPLETED[:6]}")
    assert shown.code == 0 and shown.out.split()[:2] == ["sweep", "other"] and "in 2 sweeps" not in shown.out
    assert reader("show", f"./results/other/{COMPLETED[:6]}").out.splitlines()[:50] == shown.out.splitlines()[:50]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("", "run '': must be a run id"),
        ("zz", "no run starts with 'zz' in results"),
        ("other/r", "no run starts with 'other/r'"),
        ("small", "'small' is a sweep, and no run; bnbench ls small lists its runs"),
        ("r", "run 'r': could be"),
    ],
)
def test_words_that_name_no_run(reader: Program, word: str, says: str):
    refused = reader("show", word)
    assert refused.code == 2 and says in refused.err and refused.err.count("\n") == 1 and not refused.out


@pytest.mark.parametrize("identity", ["../../secret", "r12", "R4618aad9a45", "r4618aad9a4z", "\x1b[2J", "r" * 12])
def test_an_id_that_is_none_leads_nowhere(reader: Program, folder: Path, identity: str):
    Path("secret.log").write_text("secret\n")
    path = folder / "runs.csv"
    path.write_text(path.read_text().replace(FAILED, identity))
    shown = reader("show", identity[:2])
    assert shown.code == 2 and "secret\n" not in shown.out and "\x1b" not in shown.err
    assert "must be 12 hexadecimal digits" in shown.err
    assert reader("ls", "small", "seed=0").code == 2


def test_neither_torch_nor_pandas_is_needed(tmp_path: Path):
    finish(Path("results/other"), SPECS)
    commands = [
        ["show", FAILED],
        ["ls"],
        ["ls", "small", "seed>0", "--json"],
        ["diff", "small", "other"],
        ["diff", f"small/{COMPLETED}", f"small/{FAILED}"],
        ["tag", COMPLETED, "best"],
        ["merge", "small", "other", "all"],
        ["export", "all", "--to", "csv", "--out", "tables"],
        ["rm", f"all/{COMPLETED}"],
        ["restore", "all"],
        ["rename", "all", "every"],
        ["rm", "every", "other"],
        ["rm", "--empty-trash", "--yes"],
    ]
    code = (
        "import json, sys\nfrom bnbench.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n    sys.argv = ['bnbench', *words]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code\n"
        "assert not {'torch', 'pandas', 'hydra', 'scipy'} & set(sys.modules)"
    )
    words = [sys.executable, "-c", code, json.dumps(commands)]
    subprocess.run(words, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
