"""Probes on or off: the same weights, buffers, metrics and results, to the last bit."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import get_args

import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.data import Data
from bnbench.engines import train, train_stack
from bnbench.probes import PROBES, take
from bnbench.spec import PROBE_NAMES, ProbeName, RunSpec
from bnbench.training import Reading, Record
from tests.conftest import load_data, make_spec
from tests.probes.networks import noisy_network
from tests.products import long

ALL = f"probes=[{','.join(PROBE_NAMES)}]"
CASES = [
    *[("mlp", "batch"), ("cnn", "ghost"), ("noisy", "none")],
    *(pytest.param(*pair, marks=long) for pair in (("mlp", "none"), ("mlp", "renorm"), ("cnn", "batch"))),
]
"""Vectors and images, layers with buffers and in chunks, and one that draws; the rest has no other kind of state."""
Build = Callable[[RunSpec, Data], nn.Module]


def build_of(model: str) -> Build:
    return (lambda spec, data: noisy_network(spec.seed)) if model == "noisy" else components().build


def spec_of(model: str, norm: str, *more: str) -> RunSpec:
    name = "mlp" if model == "noisy" else model
    return make_spec(f"model={name}", "model.width=8", f"norm={norm}", "evaluate.unit=steps", "evaluate.every=3", *more)


def test_every_probe_has_its_function():
    assert tuple(PROBES) == PROBE_NAMES == get_args(ProbeName)


@pytest.mark.parametrize(("model", "norm"), CASES)
def test_a_probe_leaves_everything_as_it_was(model: str, norm: str):
    spec = spec_of(model, norm, ALL)
    data = load_data(spec)
    network = build_of(model)(spec, data).train()
    next(iter(network.children())).eval()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    torch.manual_seed(3)
    random = torch.get_rng_state()
    assert take(spec, network, data, 0)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in network.modules()] == modes
    assert_same_bits(network.state_dict(), before)
    assert all(parameter.grad is not None and (parameter.grad == 1).all() for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def assert_same_bits(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(("model", "norm"), CASES)
def test_the_reference_engine_trains_the_same_with_probes(model: str, norm: str):
    spec = spec_of(model, norm, ALL, "steps=6", "batch_size=32")
    data, build = load_data(spec), build_of(model)
    plain, probed = build(spec, data), build(spec, data)
    expected = list(train(spec, plain, data))
    records = list(train(spec, probed, data, take))
    assert [record for record in records if not isinstance(record, Reading)] == expected
    assert {record.step for record in records if isinstance(record, Reading)} == {0, 3, 6}
    assert_same_bits(probed.state_dict(), plain.state_dict())


@pytest.mark.parametrize(("model", "norm"), CASES)
def test_the_stacked_engine_trains_the_same_with_probes(model: str, norm: str):
    """The weights of a stack are seen through its metrics, which are of its last step too."""
    spec = spec_of(model, norm, "probes=[gradient_flow,landscape,statistics_gap]", "steps=6", "batch_size=32")
    specs = [dataclasses.replace(spec, seed=seed, lr=0.1 * (1 + seed)) for seed in range(3)]
    data, build = load_data(spec), build_of(model)
    expected = stacked(specs, data, build, probed=False)
    found = stacked(specs, data, build, probed=True)
    assert [pair for pair in found if not isinstance(pair[1], Reading)] == expected
    assert {pair[0] for pair in found if isinstance(pair[1], Reading)} == {0, 1, 2}


def stacked(specs: Sequence[RunSpec], data: Data, build: Build, probed: bool) -> list[tuple[int, Record]]:
    networks = [build(spec, data) for spec in specs]
    trained = train_stack(specs, networks, [data] * len(specs), take if probed else None)
    return [pair for pairs in trained for pair in pairs]


@pytest.mark.parametrize(
    ("model", "norm", "without"),
    [("mlp", "batch", {"step_time"}), pytest.param("cnn", "renorm", {"step_time", "shift"}, marks=long)],
)
def test_a_lane_is_measured_as_the_run_alone(model: str, norm: str, without: set[str]):
    """Layers keep as many bytes too, although convolutions of a stack have their weights in another order in memory."""
    names = ",".join(name for name in PROBE_NAMES if name not in without)
    spec = spec_of(model, norm, f"probes=[{names}]", "steps=3", "batch_size=16", "precision=fp64")
    specs = [dataclasses.replace(spec, seed=seed, lr=0.05 * (1 + seed)) for seed in range(2)]
    data, build = load_data(spec), components().build
    together = stacked(specs, data, build, probed=True)
    for lane, alone in enumerate(specs):
        ours = [record for number, record in together if number == lane and isinstance(record, Reading)]
        theirs = [r for r in train(alone, build(alone, data), data, take) if isinstance(r, Reading)]
        assert {reading.step for reading in ours} == {0, 3}
        for mine, other in zip(ours, theirs, strict=True):
            assert dataclasses.replace(mine, value=0.0) == dataclasses.replace(other, value=0.0)
            assert mine.value == pytest.approx(other.value, rel=1e-6, abs=1e-9), mine


@pytest.mark.parametrize("name", [name for name in PROBE_NAMES if name != "step_time"])
def test_the_same_pause_gives_the_same_bits(name: str):
    spec = spec_of("cnn", "renorm", f"probes=[{name}]")
    data = load_data(spec)
    network = components().build(spec, data)
    first = take(spec, network, data, 0)
    torch.rand(5)
    assert take(spec, network, data, 0) == first


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [0, 2, 4, 6, 7]), (2, [0, 4, 7]), (3, [0, 6, 7]), (100, [0, 7])]
)  # fmt: skip
def test_probes_measure_at_the_start_at_each_so_many_th_evaluation_and_at_the_end(every: int, steps: list[int]):
    spec = make_spec("model=mlp", "model.width=8", "steps=7", "evaluate.unit=steps", "evaluate.every=2",
                     f"probe_every={every}", "probes=[memory]")  # fmt: skip
    data = load_data(spec)
    alone = train(spec, components().build(spec, data), data, take)
    found = [record.step for record in alone if isinstance(record, Reading) and record.layer == "network"]
    assert found == steps
    pairs = stacked([spec, dataclasses.replace(spec, seed=1)], data, components().build, probed=True)
    assert [r.step for lane, r in pairs if lane == 1 and isinstance(r, Reading) and r.layer == "network"] == steps


def test_a_run_that_diverges_is_measured_until_then_in_both_engines():
    spec = make_spec("model=mlp", "model.width=8", "norm=none", "lr=0.01", "steps=6", "evaluate.unit=steps",
                     "evaluate.every=2", "probes=[memory]")  # fmt: skip
    wild = dataclasses.replace(spec, lr=1e10)
    data = load_data(spec)
    alone = [r.step for r in train(wild, components().build(wild, data), data, take) if isinstance(r, Reading)]
    pairs = stacked([spec, wild], data, components().build, probed=True)
    assert set(alone) == {0} == {r.step for lane, r in pairs if lane == 1 and isinstance(r, Reading)}
    assert {r.step for lane, r in pairs if lane == 0 and isinstance(r, Reading)} == {0, 2, 4, 6}
