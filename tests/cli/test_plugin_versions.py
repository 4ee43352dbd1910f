"""A norm that is edited between two commands: what is trained again, and what reports make of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import bnbench
from tests.conftest import Program
from tests.products import long

PLUGIN = """
import aid
from torch import nn

class Mine(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x):
        scale = 0.5
        return aid.moved(x * scale)

NORMS = {"mine": Mine}
"""
AID = "def moved(x):\n    return x + 0.25\n"
SWEEP = ("sweep", "--name", "s", "--launcher", "inline", "--plugin", "mine.py", "model=mlp", "model.width=8")
WORDS = (*SWEEP, "steps=4", "norm=batch,mine", "lr=0.1,0.3")


@pytest.fixture
def trained(program: Program, tmp_path: Path) -> Program:
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "aid.py").write_text(AID)
    assert program(*WORDS).code == 0
    return program


def versions() -> dict[str, int]:
    """How many runs each source has, in the order of the table; built-in norms have none."""
    found: dict[str, int] = {}
    with Path("results/s/runs.csv").open() as stream:
        for row in csv.DictReader(stream):
            found[row["plugin"][:6]] = found.get(row["plugin"][:6], 0) + 1
    return found


def named(report: str) -> set[str]:
    """The norms of a report's rows, which begin with them."""
    words = {line.split()[0] for line in report.splitlines() if line.strip()}
    return {word for word in words if word == "batch" or word.partition("@")[0] == "mine"}


@pytest.mark.parametrize(
    ("source", "aid"),
    [
        pytest.param(f"# another comment\n{PLUGIN}", AID, marks=long),
        pytest.param(PLUGIN.replace("(x * scale)", "(\n            x * scale,  # moved\n        )"), AID, marks=long),
        (PLUGIN, AID.replace(":\n", ":\n    'A docstring.'\n")),
    ],
    ids=["comment", "formatting", "docstring_of_a_helper"],
)
def test_an_edit_without_meaning_trains_nothing(trained: Program, source: str, aid: str):
    Path("mine.py").write_text(source)
    Path("aid.py").write_text(aid)
    again = trained(*WORDS)
    assert again.code == 0 and "4 finished already" in again.out and "nothing to train" in again.out
    assert "changed" not in again.out
    assert trained("report", "s").out.count("version") == 0


@pytest.mark.parametrize(
    ("source", "aid"),
    [
        pytest.param(PLUGIN.replace("0.5", "0.75"), AID, marks=long),
        pytest.param(PLUGIN.replace("scale", "gain"), AID, marks=long),
        (PLUGIN, AID.replace("0.25", "0.5")),
    ],
    ids=["constant", "variable", "helper"],
)
def test_an_edited_norm_is_trained_again_and_its_baseline_is_not(trained: Program, source: str, aid: str):
    Path("mine.py").write_text(source)
    Path("aid.py").write_text(aid)
    again = trained(*WORDS)
    assert again.code == 0 and "2 finished already" in again.out and "2 to train" in again.out
    said = "note: norm=mine: the source of its plugin changed since "
    kept = ": 2 runs to train, and 2 finished runs of other versions kept (report --versions shows all)"
    assert any(line.startswith(said) and line.endswith(kept) for line in again.out.splitlines()), again.out
    assert "changed" not in trained(*WORDS).out
    assert [*versions().values()] == [2, 2, 2]
    newest = trained("report", "s", "--baseline", "norm=batch").out
    assert "mine@1 (plugin" in newest and "Versions that are not shown have 2 runs" in newest
    assert named(newest) == {"batch", "mine"} and " n/a" not in newest
    every = trained("report", "s", "--versions", "--baseline", "norm=mine@1").out
    assert named(every) == {"batch", "mine@1", "mine@2"} and " n/a" not in every
    assert str(bnbench.report("s", versions=True, baseline="norm=mine@1")) == every
    wrong = trained("report", "s", "--baseline", "norm=mine@3")
    assert wrong.code == 2 and "there is mine@1 and mine@2" in wrong.err


def test_more_seeds_are_those_of_the_newest_and_a_return_makes_an_old_version_the_newest(trained: Program):
    Path("mine.py").write_text(PLUGIN.replace("0.5", "0.75"))
    extended = trained(*WORDS, "--extend", "seed=0,1")
    assert extended.code == 0 and "2 finished already" in extended.out and "6 to train" in extended.out
    built_in, first, second = versions()
    assert versions() == {built_in: 4, first: 2, second: 4}
    assert f"mine@2 (plugin {second}" in trained("report", "s").out.replace("shown", "")
    Path("mine.py").write_text(PLUGIN)
    returned = trained(*WORDS)
    assert "nothing to train" in returned.out
    assert ": 0 runs to train, and 4 finished runs of other versions kept (report" in returned.out
    assert "changed" not in trained(*WORDS).out
    assert [*versions()] == [built_in, second, first]
    told = " ".join(trained("report", "s").out.split())
    assert f"mine@1 (plugin {first}" in told and "shown) and mine@2" in told
    before = {path: path.read_bytes() for path in Path("results/s").rglob("*") if path.is_file()}
    assert "nothing to train" in trained(*WORDS).out
    assert {path: path.read_bytes() for path in Path("results/s").rglob("*") if path.is_file()} == before


def test_two_plugins_with_a_norm_of_one_name_are_versions_of_it(trained: Program):
    Path("other.py").write_text(PLUGIN.replace("0.5", "0.25"))
    words = ["other.py" if word == "mine.py" else word for word in WORDS]
    again = trained(*words)
    assert again.code == 0 and "2 finished already" in again.out
    assert "norm=mine has 2 versions" in trained("report", "s").out
