"""The GPU's benchmark does real work on the CPU too; its figures mean something on a GPU only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from benchmarks.gpu.__main__ import PARTS, main
from benchmarks.gpu.correctness import correctness
from benchmarks.gpu.rows import Rows
from benchmarks.measure import ROOT
from tests import warm
from tests.products import long

CPU = torch.device("cpu")


def gpu(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "benchmarks.gpu", *words]
    return warm.run(program, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_engines_agree():
    rows = [row() for row in correctness(CPU, smoke=True)]
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        assert row["same bits as uncaptured"] == "yes" and not row["wrong"]
        apart = row["apart from reference"]
        assert isinstance(apart, float) and apart < (1e-9 if row["precision"] == "fp64" else 1e-3)


@long
def test_a_table_and_json_for_each_part(tmp_path: Path):
    told = tmp_path / "gpu.json"
    parts = ("machine", "forms", "sweeps", "kernels", "sharing")
    words = [word for name in parts for word in ("--part", name)]
    done = gpu("--device", "cpu", "--smoke", "--json", str(told), *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(told.read_text())
    assert found["device"] == "cpu"
    for name in parts:
        assert f"\n## {name}\n" in done.stdout and found[name]
        assert f"| {' | '.join(found[name][0])} |" in done.stdout
    assert all(row["us"] > 0 and row["x plain"] > 0 for row in found["sweeps"])
    assert all(row["best"] in row for row in found["forms"])
    assert all(row["value"] > 0 for row in found["machine"]) and found["kernels"][0]["kernels"] > 0
    assert [row["processes"] for row in found["sharing"]] == [1, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = gpu()
    assert done.returncode == 2
    assert done.stdout.splitlines() == ["there is no GPU; --device cpu --smoke tries the program without one"]


def test_a_part_that_is_not_there_is_refused():
    done = gpu("--device", "cpu", "--part", "speed")
    assert done.returncode == 2 and "speed: choose of machine" in " ".join(done.stderr.replace("│", " ").split())


def test_a_row_that_fails_costs_itself_only_and_the_program_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys):
    def part(device: torch.device, smoke: bool) -> Rows:
        yield lambda: {"name": "first", "value": 1.0}
        yield lambda: {"name": str([][1])}
        yield lambda: {"name": "third", "value": 3.0}

    monkeypatch.setitem(PARTS, "machine", (part, 10.0))
    with pytest.raises(typer.Exit) as ended:
        main(["machine"], "cpu", True, None, 1.0)
    said = capsys.readouterr().out
    assert ended.value.exit_code == 1 and "| first | 1 |" in said and "| third | 3 |" in said
    assert said.endswith("WRONG: machine: IndexError: list index out of range\n")
