from collections.abc import Sequence

import pytest
from torch import nn

from bnbench.components import Components, components
from bnbench.config import compose_request
from bnbench.plan import feasibility as feasibility_module
from bnbench.plan import obstacles
from tests.conftest import load_data


def found(overrides: Sequence[str], parts: Components | None = None) -> list[str]:
    request = compose_request(overrides, components())
    assert not request.problems
    specs = {str(number): spec for number, spec in enumerate(request.specs)}
    return list(obstacles(specs, parts or components(), load_data).values())


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["batch_size=1295"], "training set of 1294 examples"),
        (["norm=group", "norm.groups=12"], "12"),
        (["norm=batch", "model=mlp", "batch_size=1"], "at least two values"),
        (["norm=ghost", "norm.chunk=3", "batch_size=4", "model=mlp"], "remainder"),
        (["norm=instance", "model=mlp"], "instance"),
        (["batch_size=431", "drop_last=false", "model=mlp"], "last batch of an epoch has 1 examples"),
        (["model=torchvision", "model.name=alexnet", "norm=group"], "no normalization layers"),
    ],
)
def test_an_obstacle_is_found_and_named(overrides, says, small, monkeypatch):
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    (reason,) = found(overrides)
    assert says in reason


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize("norm", ["none", "batch", "ghost", "renorm", "group", "layer", "instance", "rms"])
def test_what_can_be_trained_is_let_through(norm, small, monkeypatch):
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    assert found([f"norm={norm}", "batch_size=2"]) == []


def test_an_unexpected_error_of_a_plugin_is_left_to_its_run():
    class Broken(nn.Module):
        def __init__(self, num_features: int) -> None:
            super().__init__()

        def forward(self, x):
            raise RuntimeError("boom")

    class TorchBatchNorm(nn.BatchNorm1d):
        pass

    registries = components().registries
    broken = Components(
        {**registries, "norm": {**registries["norm"], "batch": lambda channels, **_: Broken(channels)}}, {}
    )
    assert found(["model=mlp"], broken) == []
    wrapped = Components(
        {**registries, "norm": {**registries["norm"], "batch": lambda channels, **_: TorchBatchNorm(channels)}}, {}
    )
    (reason,) = found(["model=mlp", "batch_size=1"], wrapped)
    assert "more than 1 value per channel" in reason


def test_cells_that_differ_in_numbers_only_are_tried_once(monkeypatch):
    calls = []
    original = Components.build
    monkeypatch.setattr(Components, "build", lambda self, spec, data: calls.append(spec) or original(self, spec, data))
    assert found(["lr=0.1,0.2,0.3", "seed=range(5)", "batch_size=2,4", "optim.momentum=0,0.9"]) == []
    assert len(calls) == 2
