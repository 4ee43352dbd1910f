"""bnbench diff: of two runs what differs, of two sweeps which runs, which settings and which results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.finished import finish, make_spec, run_id
from tests.conftest import Program

SMALL = [make_spec(seed, norm) for norm in ("none", "batch") for seed in (0, 3)]
MORE = [make_spec(seed, "batch") for seed in (3, 4)]
IDS = [run_id(spec) for spec in SMALL]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(Path("results/small"), SMALL)
    finish(Path("results/more"), MORE)


def facts(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def test_two_runs_differ_in_settings_and_outcomes(reader: Program):
    told = reader("diff", IDS[0], f"small/{IDS[2]}")
    assert told.code == 0
    said = facts(told.out)
    assert said["norm"] == ["none", "batch"] and said["val_loss"] == ["0.04", "0.04"]
    assert "lr" not in said and "seed" not in said and "model" not in said
    assert told.out.split()[:2] == [f"small/{IDS[0]}", f"small/{IDS[2]}"]


def test_one_run_in_two_sweeps(reader: Program):
    said = facts(reader("diff", f"small/{IDS[3]}", f"more/{IDS[3]}").out)
    assert said["settings"] == ["the", "same", "the", "same"]


def test_two_sweeps(reader: Program):
    told = reader("diff", "small", "more")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0] == "1 run in both"
    assert lines[1] == "3 runs in small only" and [line.split()[0] for line in lines[2:5]] == IDS[:3]
    assert lines[5] == "1 run in more only" and lines[6].split()[0] == run_id(MORE[1])
    assert "norm: none in small only" in lines and "seed: 0 in small only; 4 in more only" in lines
    assert lines[-1] == "the runs in both have the same results"


def test_results_that_are_not_the_same(reader: Program):
    path = Path("results/more/runs.csv")
    path.write_text(path.read_text().replace(repr(1 / 6), "0.1666666667", 1))
    lines = reader("diff", "small", "more").out.splitlines()
    assert "1 run in both with other results" in lines
    assert lines[-1].split() == [IDS[3], "test_accuracy", "0.166666666667", "0.1666666667"]


def test_a_sweep_with_itself(reader: Program):
    assert reader("diff", "small", "./results/small").out.splitlines() == [
        "4 runs in both",
        "the runs in both have the same results",
    ]


def test_a_word_that_is_a_sweep_and_the_beginning_of_a_run(reader: Program):
    name = IDS[0][:6]
    finish(Path("results") / name, MORE)
    told = reader("diff", name, "small")
    assert told.code == 0 and "1 run in both" in told.out
    note = f"note: {name} is a sweep and the beginning of a run, small/{IDS[0]}; the sweep is meant"
    assert told.err.strip() == note


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small", IDS[0]), "is a run and 'small' a sweep; give two runs or two sweeps"),
        ((IDS[0], "zzz"), "'zzz' is neither a sweep nor the beginning of a run"),
        (("smal", "small"), "did you mean 'small'?"),
        (("", "small"), "run '': must be a run id"),
        (("small/zz", "small"), "neither a sweep nor"),
    ],
)
def test_refusals(reader: Program, words: tuple[str, str], says: str):
    refused = reader("diff", *words)
    assert refused.code == 2 and says in refused.err and not refused.out
