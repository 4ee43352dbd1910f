"""Searches through the program itself: trials and their runs, going on, and what is refused."""

import csv
import shutil
from pathlib import Path

import pytest

from bnbench import search, session, store
from bnbench.search.journal import JOURNAL
from tests.conftest import Program

SMALL = ("model=mlp", "model.width=16", "epochs=1")
LR = "lr=tag(log,interval(0.001,1))"
FRAGILE = '''
import os
from torch import nn

class Fragile(nn.Module):
    """Ends its process in training, until it is told not to."""

    def __init__(self, num_features: int, *, strength: float = 1.0) -> None:
        super().__init__()
        self.calls, self.strength = 0, strength

    def forward(self, x):
        self.calls += x.shape[0] == 64
        if self.calls > 3 and not os.path.exists("{calm}"):
            os._exit(1)
        return self.strength * x

NORMS = {{"fragile": Fragile}}
'''


def rows(name: str) -> list[dict[str, str]]:
    with Path("results", name, "runs.csv").open() as stream:
        return list(csv.DictReader(stream))


def points(name: str) -> list[tuple[str, str]]:
    """Trial and learning rate of each run."""
    return sorted((row["trial"], row["lr"]) for row in rows(name))


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def searched(program: Program, tmp_path: Path) -> Program:
    """The program in a folder with the search ``tpe`` of ten trials with two seeds each."""
    done = program("sweep", "--name", "tpe", "--search", "tpe", "--trials", "10", *SMALL, LR, "seed=0,1")
    assert done.code == 0, done.err
    assert "8 of 10 trials, best is trial" in done.out and "trained 20 in" in done.out
    return program


def test_a_search_trains_all_factors_of_each_trial_and_goes_on(searched: Program):
    every = rows("tpe")
    assert [row["trial"] for row in every] == [str(number) for number in range(10) for _ in range(2)]
    assert all({row["seed"] for row in every if row["trial"] == n} == {"0", "1"} for n in {r["trial"] for r in every})
    assert len({row["lr"] for row in every}) == 10 and all(0.001 <= float(row["lr"]) <= 1 for row in every)
    before = stamps(Path("results/tpe"))
    call = ("sweep", "--name", "tpe", "--search", "tpe", "--trials")
    again = searched(*call, "10", *SMALL, LR, "seed=0,1")
    means: dict[str, float] = {}
    for row in every:
        score = 0.0 if row["status"] == "diverged" else float(row["val_accuracy"])
        means[row["trial"]] = means.get(row["trial"], 0) + score / 2
    best = max(means, key=lambda trial: means[trial])
    assert f"best is trial {best}, " in again.out and f"validation accuracy {means[best]:.2%}" in again.out
    assert again.code == 0 and "nothing to train" in again.out and stamps(Path("results/tpe")) == before
    more = searched(*call, "12", *SMALL, LR, "seed=0,1")
    assert more.code == 0 and "trained 4 in" in more.out and rows("tpe")[:20] == every

    # stopped in the second batch before anything of it was learned, as when the program is killed
    shutil.rmtree("results/tpe")
    grid = session.Grid([*SMALL, LR, "seed=0,1"])
    course = search.prepared(
        grid, search.SearchSettings("tpe", 10), "tpe", session.Paths(Path("results"), Path("data"))
    )
    options = session.TrainingOptions("inline")
    plan = course.begin()
    session.execute(plan, options)
    course.learn(plan)
    second = course.go_on()
    assert second is not None
    session.execute(second, options)
    on = searched(*call, "10", *SMALL, LR, "seed=0,1")
    assert on.code == 0 and "nothing to train" in on.out
    assert points("tpe") == sorted((row["trial"], row["lr"]) for row in every)


def test_what_a_report_and_other_sweeps_say_of_it(searched: Program):
    for view in ("learning-rate", "convergence", "small-batch"):
        said = " ".join(searched("report", "tpe", "--view", view).out.split())
        assert "20 of 20 runs are trials (column trial of runs.csv): a search chose their lr, so" in said, said
    grid = searched("sweep", "--name", "tpe", *SMALL, "lr=0.1")
    assert grid.code == 2 and "sweep tpe holds another grid: 20 runs there, 1 new" in grid.err
    assert searched("sweep", "--name", "tpe", "--extend", *SMALL, "lr=0.1").code == 0
    assert rows("tpe")[-1]["trial"] == "" and rows("tpe")[-1]["lr"] == "0.1"
    said = " ".join(searched("report", "tpe").out.split())
    assert "20 of 21 runs are trials" in said
    others = ([LR, "seed=0"], ["lr=interval(0.001,1)", "seed=0,1"], [LR, "seed=0,1", "--search-seed", "1"])
    before = stamps(Path("results/tpe"))
    for words in others:
        other = searched("sweep", "--name", "tpe", "--search", "tpe", "--trials", "10", *SMALL, *words)
        assert other.code == 2 and "sweep tpe holds another search (" in other.err
    assert stamps(Path("results/tpe")) == before
    Path("results/tpe", JOURNAL).write_text("{}\n[]\n")
    damaged = searched("sweep", "--name", "tpe", "--search", "tpe", "--trials", "10", *SMALL, LR, "seed=0,1")
    assert damaged.code == 2 and f"{JOURNAL} is damaged" in damaged.err, damaged.err


@pytest.mark.parametrize("method", ["random", "grid", "tpe"])
def test_a_search_for_each_value_of_a_factor(program: Program, method: str):
    words = ("--per", "norm", *SMALL, "norm=none,batch", LR, "model.depth=choice(1,2)", "batch_size=32,64")
    planned = program("sweep", "--name", "each", "--search", method, "--trials", "4", "--dry-run", *words)
    assert planned.code == 0 and "16 to train" in planned.out and not Path("results").exists()
    done = program("sweep", "--name", "each", "--search", method, "--trials", "4", *words)
    assert done.code == 0, done.err
    assert "norm=none: 4 trials, best is trial " in done.out and "norm=batch: 4 trials, best is trial " in done.out
    for norm in ("none", "batch"):
        there = [row for row in rows("each") if row["norm"] == norm]
        assert [row["trial"] for row in there] == [str(number) for number in range(4) for _ in range(2)]
    assert Path("results/each", JOURNAL).exists() == (method == "tpe")
    again = program("sweep", "--name", "each", "--search", method, "--trials", "4", *words)
    assert "nothing to train" in again.out


def test_a_trial_whose_worker_died_is_trained_again(program: Program, tmp_path: Path):
    Path("fragile.py").write_text(FRAGILE.format(calm=tmp_path / "calm"))
    words = ("--plugin", "fragile.py", *SMALL, "norm=fragile", "norm.strength=interval(0.5,1)")
    call = ("sweep", "--name", "died", "--search", "tpe", "--trials", "2", *words)
    died = program(*call)
    assert died.code == 1 and "2 trials have no result; the same command trains them again" in died.out, died.out
    before = [(row["trial"], row["norm.strength"]) for row in rows("died")]
    assert len({*before}) == 2
    Path("calm").touch()
    again = program(*call)
    assert again.code == 0 and "trained 2 in" in again.out and "2 trials, best is trial" in again.out
    assert [(row["trial"], row["norm.strength"]) for row in rows("died")] == before
    assert {row["status"] for row in rows("died")} == {"completed"}
    Path("fragile.py").write_text(FRAGILE.format(calm=tmp_path / "calm").replace("self.strength * x", "0 * x"))
    edited = program(*call)
    best = max(float(row["val_accuracy"]) for row in rows("died")[-2:])
    assert edited.code == 0 and "trained 2 in" in edited.out and f"validation accuracy {best:.2%}" in edited.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--search", "tpe", "--trials", "0", LR], "--trials 0: must be from 1 to 100,000"),
        (["--search", "tpe", LR], "--search tpe: say how many trials"),
        (["--search", "bayes", "--trials", "4", LR], "--search bayes: unknown; Allowed: random, tpe, grid"),
        (["--search", "tpe", "--trials", "4", "--search-seed", "-1", LR], "--search-seed -1: must be a whole number"),
        (["--search", "random", "--trials", "4", "lr=0.1,0.2"], "--search: nothing to search; give a number a space"),
        (["--trials", "4", "--per", "norm", "lr=0.1"], "--trials and --per: only beside --search random, tpe or grid"),
        ([LR], "an interval has no values to go through; write a,b or a range, or bnbench sweep --search tpe"),
        (["--search", "random", "--trials", "4", "--per", "norm", LR], "--per norm: no factor of this sweep; there is"),
        (["--search", "random", "--trials", "4", "--per", "nrm", "norm=none,batch", LR], "did you mean 'norm'?"),
        (
            ["--search", "random", "--trials", "4", "norm=choice(batch,none)"],
            "only numbers are searched; write norm",
        ),
        (
            ["--search", "random", "--trials", "4", "drop_last=choice(true,false)"],
            "only numbers are searched; write",
        ),
        (["--search", "random", "--trials", "4", "precision=choice(fp32,bf16)"], "write precision=fp32,bf16"),
        (["--search", "random", "--trials", "4", "seed=interval(1,3)"], "a seed is not searched; write seed=range(3)"),
        (["--search", "random", "--trials", "4", "lr=interval(1,0.1)"], "two finite numbers, the smaller one first"),
        (["--search", "random", "--trials", "4", "lr=interval(0.1,inf)"], "two finite numbers, the smaller one first"),
        (["--search", "random", "--trials", "4", "lr=interval(-1,1)"], "lr=-1.0: must be a finite number above 0"),
        (["--search", "random", "--trials", "4", "lr=tag(log,interval(0,1))"], "log needs an interval above 0"),
        (["--search", "random", "--trials", "4", "lr=tag(lg,interval(0.1,1))"], "no tag 'lg'"),
        (["--search", "random", "--trials", "4", "batch_size=interval(8.5,64)"], "the ends must be whole numbers"),
        (["--search", "random", "--trials", "4", "lrr=interval(0.1,1)"], "lrr: unknown key; did you mean 'lr'?"),
        (["--search", "random", "--trials", "4", LR, "lr=0.1"], "lr is set more than once"),
        (["--search", "random", "--trials", "4", LR, "lr=interval(0.1,1)"], "lr is set more than once"),
        (["--search", "random", "--trials", "4", "device=choice(cpu,auto)"], "no part of a run, and not searched"),
        (["--search", "random", "--trials", "4", "lr@x=interval(0.1,1)"], "packages (@) are not used here; write lr="),
        (["--search", "random", "--trials", "4", "~lr=interval(0.1,1)"], "a space takes no ~; write lr=interval(a,b)"),
        (["--search", "random", "--trials", "4", "batch_size=shuffle(range(8,65,8))"], "shuffle draws by no seed"),
        (["--search", "random", "--trials", "4", "model.width=shuffle(choice(8,16))"], "shuffle draws by no seed"),
        (["--search", "random", "--trials", "4", LR, "--exclude", "model=mlp"], "every run is excluded"),
        (["--search", "grid", "--trials", "3", "model.depth=range(1,5)"], "--trials 3: the grid has 4 points"),
        (["--search", "random", "--trials", "9000", LR, "seed=range(20)"], "makes 180,000 runs; at most 100,000"),
    ],
)
def test_what_is_refused(reader: Program, words: list[str], said: str):
    result = reader("sweep", "--name", "bad", "model=mlp", *words)
    assert result.code == 2 and said in result.err and "Traceback" not in result.err, result.err
    assert not Path("results").exists()


@pytest.mark.parametrize("method", ["grid", "tpe"])
def test_points_of_which_all_is_excluded_are_impossible_trials(program: Program, method: str):
    """The others are trained, and the same command finds nothing to do."""
    spaces = ("model.depth=choice(2,4)", "batch_size=choice(32,64)", "--exclude", "model.depth=4 batch_size=32")
    words = ("sweep", "--name", "s", "--search", method, "--trials", "12" if method == "tpe" else "4", *SMALL, *spaces)
    done = program(*words)
    assert done.code == 0, done.err
    assert "(model.depth=4 batch_size=32): all of its runs are excluded" in done.out and "no run" not in done.out
    found = {(row["model.depth"], row["batch_size"]) for row in rows("s")}
    assert found <= {("2", "32"), ("2", "64"), ("4", "64")} and (method == "tpe" or len(found) == 3)
    again = program(*words)
    assert again.code == 0 and "nothing to train" in again.out


def test_a_point_that_cannot_be_trained_is_an_impossible_trial(program: Program):
    """Two devices share even batches alone; some of the numbers between the ends are odd."""
    words = ("--search", "random", "--trials", "6", *SMALL, "devices=2", "batch_size=interval(32,64)", "--dry-run")
    looked = program("sweep", "--name", "s", *words)
    assert looked.code == 0 and "note: trial 1 (batch_size=43): devices=2 batch_size=43: each device" in looked.out
    assert "4 runs, 4 to train" in looked.out, "two of six are odd"


def test_a_grid_of_other_points_is_another_search(program: Program):
    """Its trials would have numbers that others have already; a grid of values has the same points for any number."""
    call = ("sweep", "--name", "s", "--search", "grid", "--trials")
    assert program(*call, "3", *SMALL, "lr=interval(0.1,1)").code == 0
    refused = program(*call, "5", *SMALL, "lr=interval(0.1,1)")
    assert refused.code == 2 and "trials=3); choose another --name" in refused.err
    call = ("sweep", "--name", "t", "--search", "grid", "--trials")
    assert program(*call, "2", *SMALL, "model.depth=choice(1,2)").code == 0
    again = program(*call, "5", *SMALL, "model.depth=choice(1,2)")
    assert again.code == 0 and "nothing to train" in again.out


def test_without_optuna_tpe_names_the_extra(reader: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bnbench.search.settings.find_spec", lambda name: None)
    refused = reader("sweep", "--name", "bad", "--search", "tpe", "--trials", "4", "model=mlp", LR)
    assert refused.code == 2 and "install it with: pip install 'bnbench[search]'" in refused.err
    assert not Path("results").exists() and store.sweep_folders(Path("results")) == []
