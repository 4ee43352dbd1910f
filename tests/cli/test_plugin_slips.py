"""Slips in the code of a plugin's norm: told before training, with their line, and borne by its own runs alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.products import long

PLUGIN = """
import torch
from torch import nn

class Norm(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(num_features))

class Attribute(Norm):
    def forward(self, x):
        return x * self.gian  # slip of attribute

class Name(Norm):
    def forward(self, x):
        return x.to(flaot)  # slip of name

class Type(Norm):
    def forward(self, x):
        return torch.relu(x, dim=1)  # slip of type

class Shape(Norm):
    def forward(self, x):
        return x * torch.ones(x.shape[1] + 1).view(1, -1, 1, 1)  # slip of shape

class Making(Norm):
    def __init__(self, num_features: int) -> None:
        super().__init__(num_feature)  # slip of making

class Evaluation(Norm):
    def forward(self, x):
        return x if self.training else x - self.running  # slip of evaluation

class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradeint  # slip of gradient

class Gradient(Norm):
    def forward(self, x):
        return Doubled.apply(x)

class Values(Norm):
    def forward(self, x):
        if x.abs().max().item() > 1e9:
            return x / 2
        return x + torch.zeros(x.shape[1], device="cpu").view(1, -1, 1, 1)

class Derivative(Norm):
    def forward(self, x):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad((z * z).sum(), z)
        return x + 0 * slope

SLIPS = {"attribute": Attribute, "name": Name, "type": Type, "shape": Shape, "making": Making}
SLIPS |= {"evaluation": Evaluation, "gradient": Gradient}
NORMS = {**SLIPS, "values": Values, "derivative": Derivative}
"""
RAISED = {
    "attribute": "AttributeError: 'Attribute' object has no attribute 'gian'",
    "name": "NameError: name 'flaot' is not defined",
    "type": "TypeError: ",
    "shape": "RuntimeError: The size of tensor ",
    "making": "NameError: name 'num_feature' is not defined",
    "evaluation": "AttributeError: 'Evaluation' object has no attribute 'running'",
    "gradient": "NameError: name 'gradeint' is not defined",
}
RIGHT = ("batch", "values", "derivative")
WORDS = ("sweep", "--name", "s", "--plugin", "mine.py", "model=cnn", "model.width=4", "model.depth=1", "steps=2")
WORDS += (f"norm={','.join([*RIGHT, *RAISED])}",)


def where(slip: str) -> str:
    """The line of a slip, as messages show it."""
    number, line = next(
        (number, line.strip()) for number, line in enumerate(PLUGIN.split("\n"), 1) if f"# slip of {slip}" in line
    )
    return f"{Path('mine.py').absolute()}:{number}: {line}"


def check_told(out: str, batch_size: int) -> None:
    """Each slip is told before any run is trained, and nothing else is."""
    planned = out.partition("0 of ")[0]
    for slip, error in RAISED.items():
        arm = f"note: norm={slip} model=cnn dataset=digits batch_size={batch_size}"
        assert f"{arm}: its runs are likely to fail: a step, tried now, raised {error}" in planned, planned
        assert f"\n  {where(slip)}\n" in planned
    assert planned.count("likely to fail") == len(RAISED)


@pytest.mark.parametrize(
    "batch_size", [pytest.param(8, id="computed", marks=long), pytest.param(512, id="shapes_only")]
)
def test_is_told_by_a_dry_run(program: Program, batch_size: int):
    Path("mine.py").write_text(PLUGIN)
    result = program(*WORDS, f"batch_size={batch_size}", "--dry-run")
    check_told(result.out, batch_size)
    assert result.code == 0 and not Path("results").exists()


def test_is_told_before_training_and_fails_its_own_runs(program: Program):
    Path("mine.py").write_text(PLUGIN)
    result = program(*WORDS, "batch_size=8")
    check_told(result.out, 8)
    assert result.code == 1
    with Path("results/s/runs.csv").open() as stream:
        found = {row["norm"]: row for row in csv.DictReader(stream)}
    assert {norm: found[norm]["status"] for norm in RIGHT} == dict.fromkeys(RIGHT, "completed")
    for slip, error in RAISED.items():
        assert found[slip]["status"] == "failed" and found[slip]["error"].startswith(error)
        assert where(slip) in found[slip]["error"]
    assert "likely to fail" not in program(*WORDS, "batch_size=8").out  # they failed, and are not tried again
