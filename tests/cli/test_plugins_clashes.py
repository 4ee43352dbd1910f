"""A user's layer may call its attributes and methods as bnbench calls some of its own, for something else."""

import csv
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.products import long

CLASHES = {
    "prepare_method": "def prepare(self, x): return x",
    "prepare_two": "def prepare(self, x, y): raise RuntimeError",
    "prepare_static": "@staticmethod\n    def prepare(network): raise RuntimeError",
    "prepare_property": "@property\n    def prepare(self): raise RuntimeError",
    "fold_method": "def fold(self): raise RuntimeError",
    "fold_argument": "def fold(self, lanes): raise RuntimeError",
    "fold_static": "@staticmethod\n    def fold(x): raise RuntimeError",
    "fold_number": "fold = 3",
    "activates": "activates = True",
    "activates_method": "def activates(self): return True",
    "remove_activation": "def remove_activation(self): raise RuntimeError",
    "recomputes": "recomputes = True",
    "facts": "facts = 'none'",
    "bias_true": "bias = True",
    "bias_false": "bias = False",
    "bias_text": "bias = 'none'",
    "bias_method": "def bias(self): raise RuntimeError",
    "weight_number": "weight = 3.0",
    "momentum": "momentum = 0.5",
    "momentum_method": "def momentum(self): raise RuntimeError",
    "reset_running_stats": "def reset_running_stats(self): raise RuntimeError",
    "chunk": "chunk = 2\n    corrections = 1\n    reparametrization = 2",
    "factors": "factors = ()\n    lanes = 7\n    lanes_in_channels = True\n    separable = False",
    "lane_by_lane": "vmapped = True\n    streams = 3\n    member = 1\n    alike = 1\n    first = 2",
    "eps": "def eps(self): raise RuntimeError",
}
ONCE = (
    "prepare_method", "fold_number", "activates", "remove_activation", "recomputes", "facts", "bias_true",
    "weight_number", "momentum", "reset_running_stats", "chunk", "factors", "lane_by_lane", "eps",
)  # fmt: skip
"""Every attribute; what else it may be, and images, are tried by ``make long``."""
PLUGIN = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return x * self.gain.view(1, -1, *[1] * (x.dim() - 2))

class Model(nn.Module):
    def __init__(self, norm, shape, classes):
        super().__init__()
        self.first = nn.Linear(shape[0] * shape[1] * shape[2], 8)
        self.norm = norm(8)
        self.last = nn.Linear(8, classes)

    def forward(self, x):
        return self.last(self.norm(self.first(x.flatten(1))).relu())

class Clashing(Model):
    prepare, fold = None, 3

    def __init__(self, norm, shape, classes):
        super().__init__(norm, shape, classes)
        self.factors, self.lanes, self.scheme, self.network, self.template = [1], 3, "he", None, None
        self.lanes_in_channels, self.vmapped, self.normalize = True, True, 2
"""


@pytest.fixture
def plugin(tmp_path: Path) -> None:
    classes = [f"class {name.title()}(Plain):\n    {body}\n" for name, body in CLASHES.items()]
    norms = ", ".join(f"{name!r}: {name.title()}" for name in CLASHES)
    models = 'MODELS = {"model": Model, "clashing": Clashing}'
    (tmp_path / "plugin.py").write_text("\n".join([PLUGIN, *classes, f'NORMS = {{"plain": Plain, {norms}}}', models]))


def numbers(folder: Path, factor: str) -> dict[str, list[tuple[str, ...]]]:
    """By level of a factor, the engine, lanes and losses of its runs by seed."""
    found: dict[str, list[tuple[str, ...]]] = {}
    with (folder / "runs.csv").open() as stream:
        for row in sorted(csv.DictReader(stream), key=lambda row: row["seed"]):
            kept = tuple(row[key] for key in ("status", "engine", "lanes", "test_loss", "parameters"))
            found.setdefault(row[factor], []).append(kept)
    return found


SMALL = ("model.width=8", "model.depth=1", "epochs=1", "batch_size=256", "seed=0,1", "--launcher", "inline")
TOGETHER = ("--lanes", "2")
"""Nothing is timed to find out how many are quick."""


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("model", "clashes"),
    [("mlp", ONCE), pytest.param("mlp", CLASHES, marks=long), pytest.param("cnn", CLASHES, marks=long)],
    ids=["mlp", "mlp_all", "cnn_all"],
)
def test_a_norm_is_trained_as_without_the_attribute(
    program: Program, tmp_path: Path, model: str, clashes: Iterable[str]
):
    norms = f"norm=plain,{','.join(clashes)}"
    result = program("sweep", "--name", "s", "--plugin", "plugin.py", norms, f"model={model}", *SMALL, *TOGETHER)
    assert result.code == 0, result.out + result.err
    found = numbers(tmp_path / "results/s", "norm")
    assert [status for status, *_ in found["plain"]] == ["completed"] * 2
    assert {norm: rows for norm, rows in found.items() if rows != found["plain"]} == {}
    assert found.keys() == {"plain", *clashes}


@pytest.mark.usefixtures("plugin")
def test_a_model_is_trained_as_without_the_attributes(program: Program, tmp_path: Path):
    words = (
        "sweep",
        "--name",
        "s",
        "--plugin",
        "plugin.py",
        "norm=batch",
        "model=model,clashing",
        "optim.momentum=0.9",
    )
    assert program(*words, *SMALL[2:]).code == 0
    found = numbers(tmp_path / "results/s", "model")
    assert found["model"] == found["clashing"]
    assert found["model"][0][1:3] in [("native", "2"), ("stacked", "2")]


@pytest.mark.usefixtures("plugin")
def test_norms_are_listed(program: Program):
    result = program("list", "norms", "--plugin", "plugin.py")
    assert result.code == 0 and "lane_by_lane" in result.out
