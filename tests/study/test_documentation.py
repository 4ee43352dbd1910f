"""What docs/studies.md says and shows is so."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from bnbench.study import MEASURES
from tests import warm
from tests.conftest import Program
from tests.products import long

TEXT = (Path(__file__).parents[2] / "docs/studies.md").read_text()
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", TEXT, flags=re.S) for kind in ("sh", "yaml", "python")}
COMMANDS = [line for block in BLOCKS["sh"] for line in block.splitlines()]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=long if "memory gradient_flow" in command or "transformer" in command else ())
        for command in COMMANDS
        if "layer_norm" not in command
    ],
)
def test_command(program: Program, command: str):
    result = program(*shlex.split(command)[1:])
    assert result.code == 0, result.err


def test_a_row_can_be_recomputed_by_hand(program: Program, tmp_path: Path):
    """The example is a study, its commands run, and the program finds the scorecard's numbers."""
    (example,), (script,) = BLOCKS["yaml"], BLOCKS["python"]
    (tmp_path / "layer_norm.yaml").write_text(example)
    for command in COMMANDS:
        if "layer_norm" in command:
            result = program(*shlex.split(command)[1:])
            assert result.code == 0, result.err
    row = pd.read_csv("results/study-scorecard-cpu-layer_norm.csv").iloc[0]
    assert row["n"] == 10 and "end of the grid" not in row["reason"], row["reason"]
    (tmp_path / "by_hand.py").write_text(script)
    done = warm.run([sys.executable, "by_hand.py"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    _, effect, _, p, _, n = done.stdout.split()
    assert (effect, n) == (f"{row['effect']:.6f}", "10") and float(p) <= row["raw_p"] + 1e-6 <= row["p"] + 2e-6


def test_there_is_a_row_for_every_measure():
    told = set(re.findall(r"^\| `(\w+)", TEXT.partition("## What can be measured")[2], flags=re.M))
    assert told == set(MEASURES)
