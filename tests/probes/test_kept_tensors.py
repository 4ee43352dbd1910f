"""A layer that keeps what it computed, with its history, is measured, stacked and evaluated as any other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from bnbench.norms.common.copying import copied
from bnbench.probes import PROBES
from bnbench.stacking import fold, select, unfold
from tests.conftest import Program
from tests.products import long

PLUGIN = '''
import torch
from torch import nn


class Plain(nn.Module):
    """Batch norm that averages its statistics."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def keep(self, mean, var):
        pass

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            self.keep(mean, var)
            self.running_mean.lerp_(mean.detach(), 0.1)
            self.running_var.lerp_(var.detach(), 0.1)
        return (x - mean) / (var + 1e-5).sqrt() * self.scale


class Keeping(Plain):
    """The same, which keeps the last ones in an attribute, a dict and a list of lists, for a look at them."""

    def __init__(self, channels):
        super().__init__(channels)
        self.last, self.seen, self.history = None, {}, []

    def keep(self, mean, var):
        self.last, self.seen["var"] = mean * self.scale, var * self.scale
        self.history = [[mean * self.scale]]


NORMS = {"plain": Plain, "keeping": Keeping}
'''


@pytest.mark.parametrize("lanes", [pytest.param("off", marks=long), "2"])
def test_every_probe_measures_what_it_measures_without(program: Program, tmp_path: Path, lanes: str):
    """A lane diverges, so that the others are stacked anew behind some steps."""
    (tmp_path / "keeping.py").write_text(PLUGIN)
    probes = ",".join(name for name in PROBES if name != "step_time")
    done = program(
        "sweep", "--name", "kept", "--plugin", "keeping.py", "norm=plain,keeping", "model=mlp", "model.width=8",
        "batch_size=16", "steps=6", "evaluate.unit=steps", "evaluate.every=3", "seed=0,1", "lr=0.05,1e15",
        f"probes=[{probes},step_time]", "evaluate.statistics=recomputed", "evaluate.recompute_batches=3",
        "--lanes", lanes, "--jobs", "1",
    )  # fmt: skip
    assert done.code == 0, done.err
    runs = pd.read_csv("results/kept/runs.csv")
    assert set(runs["status"]) <= {"completed", "diverged"} and (runs["status"] == "completed").sum() == 4
    found = pd.read_csv("results/kept/probes.csv").merge(runs[["run_id", "norm", "seed", "lr"]], on="run_id")
    table = found[found["lr"] < 1].pivot_table(
        index=["seed", "step", "probe", "layer", "name"], columns="norm", values="value", dropna=False
    )
    assert set(found["probe"]) == set(PROBES)
    same = table.drop(["step_time", "memory"], level="probe")
    pd.testing.assert_series_equal(same["plain"], same["keeping"], check_names=False, rtol=1e-4, atol=1e-6)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = (x * self.gain).mean(0)
        return x - self.last


def test_stacks_are_made_and_divided_with_such_layers():
    networks = [nn.Sequential(Remembering(), nn.Linear(3, 2)) for _ in range(3)]
    for network in networks:
        network(torch.randn(4, 3))
    folded = fold(networks)
    folded(torch.randn(12, 3)).sum().backward()
    few = select(folded, [0, 2])
    few(torch.randn(8, 3))
    for network in (unfold(few, 1), *copied(nn.ModuleList(networks))):
        assert not network[0].last.requires_grad
    assert networks[0][0].last.requires_grad, "the original keeps its history"


def test_a_copy_shares_what_the_original_shares():
    first, second = Remembering(), Remembering()
    first(torch.randn(4, 3))
    second.last = first.last
    one, other = copied(nn.ModuleList([first, second]))
    assert one.last is other.last and torch.equal(one.last, first.last) and one.last is not first.last
