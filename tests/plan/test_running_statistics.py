"""What is asked of a user's norm that keeps running statistics, and what is said where it does not have them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.plan.feasibility import obstacles
from tests.conftest import Program, load_data

PLUGIN = '''
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class Keeping(nn.Module):
    """Batch norm with buffers of any names and shape, which it replaces or changes in place."""

    def __init__(self, channels, mean, var, shape, in_place=False):
        super().__init__()
        self.mean, self.var, self.shape, self.in_place = mean, var, shape, in_place
        self.register_buffer(mean, torch.zeros(shape))
        self.register_buffer(var, torch.ones(shape))

    def forward(self, x):
        if self.training:
            dims = [0, *range(2, x.dim())]
            found = {self.mean: x.mean(dims), self.var: x.var(dims, unbiased=False)}
            for name, statistic in found.items():
                kept = getattr(self, name)
                value = statistic.detach().view(self.shape) if kept.numel() > 1 else statistic.detach().mean()
                new = 0.9 * kept + 0.1 * value
                kept.copy_(new) if self.in_place else setattr(self, name, new)
        else:
            found = {name: getattr(self, name) for name in (self.mean, self.var)}
        shape = (1, -1, *[1] * (x.dim() - 2))
        return (x - found[self.mean].view(shape)) / (found[self.var].view(shape) + 1e-5).sqrt()


class Subclass(_BatchNorm):
    def _check_input_dim(self, x):
        pass


class Inside(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = nn.BatchNorm1d(channels)

    def forward(self, x):
        return self.inner(x)


NORMS = {
    "named": lambda n: Keeping(n, "running_mean", "running_var", (n,)),
    "row": lambda n: Keeping(n, "running_mean", "running_var", (1, n)),
    "no_momentum": lambda n: Subclass(n, momentum=None),
    "inside": Inside,
    "avg": lambda n: Keeping(n, "avg_mean", "avg_var", (n,)),
    "in_place": lambda n: Keeping(n, "moving_mean", "moving_var", (n,), in_place=True),
    "other": lambda n: Keeping(n, "running_mean", "running_spread", (n,)),
    "one": lambda n: Keeping(n, "running_mean", "running_var", ()),
}
'''
KNOWN, CALLED_OTHERWISE = ["named", "row", "no_momentum", "inside"], ["avg", "in_place"]
SETTINGS = ["evaluate.statistics=recomputed", "evaluate.statistics=batch", "probes=[statistics_gap]", "probes=[shift]"]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "keeping.py"
    path.write_text(PLUGIN)
    return path


def reason(plugin: Path, norm: str, *settings: str) -> str | None:
    parts = components(plugin)
    request = compose_request([f"norm={norm}", "model=mlp", "epochs=2", *settings], parts)
    assert not request.problems
    return obstacles({"run": request.specs[0]}, parts, load_data).get("run")


@pytest.mark.parametrize("batch", ["batch_size=64", "batch_size=640"])
@pytest.mark.parametrize("norm", [*KNOWN, *CALLED_OTHERWISE, "other"])
def test_nothing_is_asked_for_evaluation_with_running_statistics(plugin: Path, norm: str, batch: str):
    assert reason(plugin, norm, batch) is None


@pytest.mark.parametrize("batch", ["batch_size=64", "batch_size=640"])
@pytest.mark.parametrize("setting", [*SETTINGS, "freeze_statistics=1"])
@pytest.mark.parametrize("norm", KNOWN)
def test_statistics_by_their_names_are_all_that_is_needed(plugin: Path, norm: str, setting: str, batch: str):
    assert reason(plugin, norm, setting, batch) is None


@pytest.mark.parametrize("batch", ["batch_size=64", "batch_size=640"])  # on the CPU, and on the meta device
@pytest.mark.parametrize("setting", [*SETTINGS, "freeze_statistics=1"])
@pytest.mark.parametrize("norm", CALLED_OTHERWISE)
def test_statistics_with_other_names_are_said(plugin: Path, norm: str, setting: str, batch: str):
    found = reason(plugin, norm, setting, batch)
    assert found is not None and f"norm={norm} keeps what training changes in" in found
    assert setting in found and "running_mean and running_var" in found


@pytest.mark.parametrize("setting", SETTINGS)
def test_statistics_that_are_not_those_of_the_inputs_are_said_where_they_would_be_recomputed(plugin, setting: str):
    found = reason(plugin, "other", setting)
    assert (found is None) == (setting == "evaluate.statistics=batch")
    assert found is None or "norm=other keeps running_spread, which cannot be recomputed" in found


def test_statistics_of_all_channels_together_are_said(plugin: Path):
    found = reason(plugin, "one", "evaluate.statistics=recomputed")
    assert found is not None and "norm=one keeps a running_mean of shape []" in found


def test_a_refusal_ends_the_command_and_writes_nothing(program: Program, plugin: Path, tmp_path: Path):
    refused = program("run", "--plugin", str(plugin), "norm=avg", "model=mlp", "evaluate.statistics=recomputed")
    assert refused.code == 2 and "norm=avg keeps what training changes in avg_mean, avg_var" in refused.err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("jobs", [["--lanes", "off"], ["--lanes", "2"]])
def test_the_three_kinds_of_statistics_are_three_numbers(program: Program, plugin: Path, jobs: list[str]):
    """In each engine, and those of a norm are the same whatever it calls its momentum."""
    done = program(
        "sweep", "--name", "kinds", "--plugin", str(plugin), *jobs, "--jobs", "1", "norm=batch,named,inside",
        "norm.affine=none", "model=mlp", "model.width=16", "model.depth=2", "batch_size=4", "steps=20", "seed=0,1",
        "evaluate.statistics=running,batch,recomputed", "evaluate.recompute_batches=8", "model.bias=never", "lr=1e-9",
    )  # fmt: skip
    assert done.code == 0, done.err
    runs = pd.read_csv("results/kinds/runs.csv")
    table = runs.pivot_table(index=["norm", "seed"], columns="evaluate.statistics", values="val_loss")
    assert table.notna().all(axis=None) and (table.nunique(axis=1) == 3).all()
    for kind in ("batch", "recomputed"):
        for norm in ("named", "inside"):
            assert table.loc[norm, kind].tolist() == pytest.approx(table.loc["batch", kind].tolist(), rel=1e-3)
