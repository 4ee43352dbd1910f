"""Layers that draw random numbers: the same command gives the same numbers, whatever draws them, where and when."""

import csv
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.products import long

GENERATORS = {"torch": "torch.rand(()).item()", "python": "random.random()", "numpy": "float(np.random.randn())"}
PLACES = ("forward", "init", "eval")
PLUGIN = """
import random
import numpy as np
import torch
from torch import nn

class Gain(nn.Module):
    factor = 0.0

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))
        self.calls = 0

    def forward(self, x):
        return x * self.gain.view(1, -1, *[1] * (x.dim() - 2)) * (1 + self.factor / 10)
"""
LAYER = """
class Forward_{name}(Gain):
    def forward(self, x):
        self.factor = {draw} if self.training else 0.0
        return super().forward(x)

class Init_{name}(Gain):
    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.factor = {draw}

class Eval_{name}(Gain):
    def forward(self, x):
        self.factor = 0.0 if self.training else {draw}
        return super().forward(x)

class Late_{name}(Gain):
    def forward(self, x):
        self.calls += 1
        self.factor = {draw} if self.calls > 12 else 0.0
        return super().forward(x)
"""
DATA = """
def cloud(root, *, count: int = 300):
    x = np.random.rand(count, 8).astype(np.float32)
    shifted = x + torch.rand(count, 8).numpy() + np.float32(random.random())
    return shifted.reshape(count, 8, 1, 1), (x.sum(1) > 4).astype(int)

DATASETS = {"cloud": cloud}
"""
SMALL = ("model=mlp", "model.width=8", "model.depth=1", "epochs=2", "batch_size=128", "precision=fp64", "seed=0,1")


@pytest.fixture
def plugin(tmp_path: Path) -> list[str]:
    """The names of the norms in plugin.py."""
    layers = [LAYER.format(name=name, draw=draw) for name, draw in GENERATORS.items()]
    names = [f"{place}_{name}" for place in (*PLACES, "late") for name in GENERATORS]
    norms = ", ".join(f"{name!r}: {name.capitalize()}" for name in names)
    (tmp_path / "plugin.py").write_text("\n".join([PLUGIN, *layers, DATA, f"NORMS = {{{norms}}}"]))
    return names


def numbers(folder: Path) -> dict[tuple[str, str], list[list[str]]]:
    """By norm and seed, losses and accuracies of all evaluations, the last on the test examples."""
    with (folder / "runs.csv").open() as stream:
        runs = {row["run_id"]: row for row in csv.DictReader(stream)}
    assert {row["status"] for row in runs.values()} == {"completed"}
    found = {(row["norm"], row["seed"]): [[row["test_loss"], row["test_accuracy"]]] for row in runs.values()}
    with (folder / "metrics.csv").open() as stream:
        for row in csv.DictReader(stream):
            run = runs[row["run_id"]]
            found[run["norm"], run["seed"]].append(
                [row[key] for key in ("step", "train_loss", "train_accuracy", "val_loss", "val_accuracy")]
            )
    return found


EACH = ["forward_torch", "forward_python", "forward_numpy", "init_python", "eval_numpy", "late_torch"]
"""Every generator and every place; ``make long`` tries each generator in each place."""


@pytest.mark.parametrize("all_pairs", [False, pytest.param(True, marks=long)])
def test_the_same_command_gives_the_same_numbers(program: Program, tmp_path: Path, plugin: list[str], all_pairs: bool):
    """Bit for bit in workers and in one process, and to rounding for runs trained together and alone."""
    names = plugin if all_pairs else EACH
    sweep = ("sweep", *SMALL, "--plugin", "plugin.py", f"norm=batch,{','.join(names)}")
    ways = {
        "together": ("--launcher", "inline"),
        "workers": ("--jobs", "2"),
        "alone": ("--launcher", "inline", "--lanes", "off"),
    }
    if all_pairs:
        ways["again"] = ways["together"]
    found = {}
    for name, words in ways.items():
        result = program(*sweep, "--name", name, *words)
        assert result.code == 0, result.out + result.err
        found[name] = numbers(tmp_path / "results" / name)
    assert all(found[name] == found["together"] for name in ways if name != "alone")
    assert len(found["together"]) == 2 * (1 + len(names))
    for run, rows in found["together"].items():
        for row, expected in zip(rows, found["alone"][run], strict=True):
            assert [float(value) for value in row] == pytest.approx([*map(float, expected)], rel=1e-9), run
    plain = program("sweep", *SMALL, "--name", "plain", "--launcher", "inline", "norm=batch")
    assert plain.code == 0
    assert numbers(tmp_path / "results/plain").items() <= found["together"].items()


@long
def test_seeds_draw_other_numbers_and_drawing_at_evaluation_changes_no_training(
    program: Program, tmp_path: Path, plugin: list[str]
):
    names = [name for name in plugin if not name.startswith("late")]
    words = ("--launcher", "inline", "--lanes", "off", "--plugin", "plugin.py")
    assert program("sweep", *SMALL, "--name", "s", *words, f"norm=none,{','.join(names)}").code == 0
    found = numbers(tmp_path / "results/s")
    trained = {run: [row[1:3] for row in rows[1:]] for run, rows in found.items()}
    for seed in ("0", "1"):
        expected = trained["eval_torch", seed]
        for name in GENERATORS:
            assert trained[f"eval_{name}", seed] == expected, name
            assert found[f"eval_{name}", seed] != found["eval_torch" if name != "torch" else "eval_numpy", seed]
            assert trained[f"forward_{name}", seed] != expected and trained[f"init_{name}", seed] != expected, name


def test_a_dataset_that_draws_is_the_same_for_all_runs(program: Program, tmp_path: Path, plugin: list[str]):
    words = ("--plugin", "plugin.py", "dataset=cloud", "norm=batch")
    for name, way in {"one": ("--launcher", "inline"), "two": ("--jobs", "2", "--lanes", "off")}.items():
        assert program("sweep", *SMALL, "--name", name, *words, *way).code == 0
    one, two = (numbers(tmp_path / "results" / name) for name in ("one", "two"))
    for run, rows in one.items():
        for row, expected in zip(rows, two[run], strict=True):
            assert [float(value) for value in row] == pytest.approx([*map(float, expected)], rel=1e-9)
