"""bnbench study: list, show, run; what it writes, and how it refuses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import bnbench
from bnbench.study import load, names
from tests import warm
from tests.conftest import Program
from tests.products import long
from tests.study.files import TREE, study_file


def test_list_names_every_claim(program: Program):
    shown = " ".join(program("study", "list").out.split())
    for study in load(names()):
        assert study.name in shown
        assert all(claim.name in shown for claim in study.claims)
    assert program("list", "studies").out == program("study", "list").out


def test_show_tells_the_design_and_writes_nothing(program: Program):
    result = program("study", "show", "convergence", "--scale", "cpu")
    assert result.code == 0, result.err
    assert "runs: 264 for tuning (more if a grid must grow), 44 for reporting" in result.out
    assert "by a factor 1.5" in result.out and "31.0M" in result.out and "not tested:" in result.out
    assert re.search(r"smallest detectable effect: 0\.9\d standard deviations", result.out), result.out
    assert "estimated time" in result.out and not Path("results").exists()
    assert "every verdict is inconclusive" in program("study", "show", "convergence", "--scale", "smoke").out


def test_run_ends_in_a_scorecard_and_goes_on_where_it_was(program: Program):
    words = ("study", "run", "memory", "convergence", "--scale", "smoke", "--jobs", "1")
    first = program(*words)
    assert first.code == 0, first.err
    table_file = Path("results/study-scorecard-smoke-convergence+memory.csv")
    table = pd.read_csv(table_file)
    assert table[["study", "claim"]].to_numpy().tolist() == [
        ["memory", "saved"], ["convergence", "steps"], ["convergence", "accuracy"],
    ]  # fmt: skip
    assert set(table["verdict"]) == {"inconclusive"} and set(table["n"]) == {2}
    text = table_file.with_suffix(".md").read_text()
    assert all(sentence.replace("<", "&lt;") in text for sentence in table["sentence"])
    assert "`bnbench study run memory convergence --scale smoke`: time 20" in text
    assert "Inconclusive: across 2 replicates, bytes kept for the backward pass with batch was 1." in " ".join(
        first.out.split()
    )
    before = table_file.read_bytes()
    again = program(*words)
    assert again.code == 0 and "4 finished already, 0 to train" in again.out
    assert table_file.read_bytes() == before


def test_a_study_of_one_s_own_is_a_file(program: Program, tmp_path: Path):
    tree = {**TREE, "scales": {"smoke": {"lr": [0.1], "seeds": 1}}}
    path = study_file(tmp_path, tree)
    result = program("study", "run", str(path), "--scale", "smoke", "--jobs", "1")
    assert result.code == 0, result.err
    assert Path("results/study-mine-smoke/runs.csv").is_file()
    assert "mine" in program("study", "show", str(path), "--scale", "smoke").out
    refused = program("study", "run", str(path), "--scale", "cpu")
    assert refused.code == 2 and "study mine: has no scale cpu; it has smoke" in refused.err


def test_runs_without_a_result_are_a_failure(program: Program, tmp_path: Path):
    arms = {"batch": ["norm=batch"], "none": ["norm=group", "norm.groups=7"]}
    path = study_file(tmp_path, {**TREE, "arms": arms, "scales": {"smoke": {"lr": [0.1], "seeds": 2}}})
    result = program("study", "run", str(path), "--scale", "smoke", "--jobs", "1")
    assert result.code == 1
    table = pd.read_csv("results/study-scorecard-smoke-mine.csv")
    assert table["verdict"].tolist() == ["inconclusive"] and "2 of 2 replicates without a value" in table["reason"][0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run",), "name a study, or say --all"),
        (("run", "convergense"), "did you mean 'convergence'?"),
        (("run", "convergence", "--scale", "tiny"), "scale tiny: there is no such scale"),
        (("run", "convergence", "--jobs", "0"), "jobs=0: must be at least 1"),
        (("run", "absent.yaml"), "absent.yaml: cannot be read"),
        (("show", "nothing"), "there is no such study"),
        (("show", "epochs=3"), "name one study"),
        (("show", "memory", "overhead"), "name one study"),
        (("run", "epochs=3"), "name a study, or say --all"),
        (("run", "convergence", "epohcs=3"), "epohcs: unknown key; did you mean 'epochs'?"),
        (("run", "convergence", "lr=0.1"), "lr=0.1: lr is tuned over the grid"),
        (
            ("run", "memory", "small_batch", "batch_size=4"),
            "batch_size=4: batch_size is set by the cells",
        ),
        (("run", "convergence", "model.groups=3"), "model.groups: no option 'groups'"),
        (("run", "convergence", "dataset=mnist", "--data", "nowhere"), "train-images-idx3-ubyte"),
    ],
)
def test_a_wrong_command_writes_nothing(program: Program, words: tuple[str, ...], says: str):
    result = program("study", *words)
    assert result.code == 2 and says in result.err and "Traceback" not in result.err
    assert not Path("results").exists()


def test_settings_make_another_study_with_files_of_its_own(program: Program):
    words = ("study", "run", "memory", "--scale", "smoke", "--jobs", "1")
    settings = ("batch_size=32", "seeds=3")
    assert program(*words).code == 0
    own = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    changed = program(*words, *settings)
    assert changed.code == 0, changed.err
    assert "Scorecard, smoke, with batch_size=32 seeds=3" in changed.out
    assert {path: path.read_bytes() for path in own} == own
    (text,) = set(Path("results").glob("study-scorecard-smoke-memory-batch-size-32-seeds-3-*.md"))
    assert "`bnbench study run memory batch_size=32 seeds=3 --scale smoke`: time 20" in text.read_text()
    (sweep,) = Path("results").glob("study-memory-smoke-batch-size-32-seeds-3-*")
    runs = pd.read_csv(sweep / "runs.csv")
    assert len(runs) == 6 and set(runs["batch_size"]) == {32}
    again = program(*words, *reversed(settings))
    assert again.code == 0 and "6 finished already, 0 to train" in again.out


def test_show_tells_what_was_changed(program: Program):
    result = program("study", "show", "convergence", "epochs=3", "seeds=12", "--scale", "smoke")
    assert result.code == 0, result.err
    assert "evaluate.every=4 epochs=3\n" in result.out and "smoke: 12 replicates; learning rates 1" in result.out
    assert "changed: epochs=3 seeds=12; its runs are in the sweep study-convergence-smoke-epochs" in result.out
    assert not Path("results").exists()


def test_settings_from_python_are_those_of_the_command_line(program: Program):
    words = ("memory", "batch_size=32")
    table = bnbench.verdicts(*words, scale="smoke", jobs=1)
    assert table["study"].tolist() == ["memory"]
    shown = program("study", "run", *words, "--scale", "smoke", "--jobs", "1")
    assert "4 finished already, 0 to train" in shown.out


def scorecards() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("results").glob("study-scorecard-*")}


@long
def test_a_scorecard_of_one_study_leaves_that_of_several_alone(program: Program):
    words = ("--scale", "smoke", "--jobs", "1")
    assert program("study", "run", "memory", "gradient_flow", *words).code == 0
    before = scorecards()
    assert program("study", "run", "memory", *words).code == 0
    after = scorecards()
    assert before.items() <= after.items()
    assert set(after) - set(before) == {f"study-scorecard-smoke-memory.{ending}" for ending in ("csv", "md")}


def test_an_interrupted_study_leaves_its_scorecard_alone(program: Program, tmp_path: Path):
    scales = {"smoke": {"lr": [0.1], "seeds": 1}}
    path = study_file(tmp_path, {**TREE, "scales": scales})
    assert program("study", "run", str(path), "--scale", "smoke", "--jobs", "1").code == 0
    before = scorecards()
    study_file(tmp_path, {**TREE, "scales": scales, "fixed": [*TREE["fixed"][:-1], "epochs=100000"]})
    words = [sys.executable, "-m", "bnbench", "study", "run", str(path), "--scale", "smoke", "--jobs", "1"]
    process = warm.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(Path("results/study-mine-smoke/segments").glob("*.runs.csv")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    assert scorecards() == before and len(before) == 2


def test_a_folder_in_place_of_a_scorecard_is_refused_before_anything_is_trained(program: Program):
    Path("results/study-scorecard-smoke-memory.csv").mkdir(parents=True)
    result = program("study", "run", "memory", "--scale", "smoke", "--jobs", "1")
    says = "results/study-scorecard-smoke-memory.csv: must be a file, and is a folder; move it away"
    assert result.code == 2 and result.err == f"error: {says}\n"
    assert [path.name for path in Path("results").iterdir()] == ["study-scorecard-smoke-memory.csv"]


def test_a_scorecard_is_written_as_a_page(program: Program, tmp_path: Path):
    result = program("study", "run", "memory", "--scale", "smoke", "--jobs", "1", "--out", "card.html")
    page = Path("card.html").read_text()
    assert result.code == 0 and "wrote card.html" in result.err
    assert "Scorecard, smoke" in page and "<svg" in page and "bnbench study run memory --scale smoke" in page


@pytest.mark.parametrize("words", [("study", "run", "memory"), ("compare", "rms", "--against", "layer")])
@pytest.mark.parametrize(
    ("path", "says"),
    [("card.json", "there is no format for '.json'"), ("nowhere/card.html", "there is no folder")],
)
def test_what_cannot_be_written_is_refused_before_work_begins(
    program: Program, tmp_path: Path, words: tuple[str, ...], path: str, says: str
):
    result = program(*words, "--scale", "smoke", "--out", path)
    assert result.code == 2 and says in result.err
    assert not list(tmp_path.iterdir())
