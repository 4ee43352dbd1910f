"""Layers without a rule go through all lanes at once where that is proved, and one after another where it is not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from bnbench.stacking import LaneByLane, fold, select, unfold
from bnbench.stacking.vmap import vmap_lanes
from bnbench.training import Outcome
from tests.conftest import load_data, make_spec
from tests.engines.tape import Tape
from tests.engines.test_recording import Counting, Drawing, Reading, Remembering, recorded, with_norm
from tests.engines.test_stacked import SHORT, alone, assert_equal, lanes_of, small, stacked


class Batch(nn.Module):
    """Batch normalization as people write it, with a buffer changed in place, one replaced and a count."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.rand(num_features))
        self.gain = nn.Parameter(torch.rand(()))
        self.momentum: float | None = 0.1
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        over, shape = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        mean, var = self.running_mean, self.running_var
        if self.training:
            var, mean = torch.var_mean(x, over, correction=0)
            self.running_mean.lerp_(mean.detach(), 0.1)
            self.running_var = 0.9 * self.running_var + 0.1 * var.detach()
            self.seen += 1
        y = (x - mean.view(shape)) / (var.view(shape) + 0.1).sqrt() * self.weight.view(shape)
        return y * self.gain + self.running_mean.view(shape) / (1 + self.seen.to(x.dtype))


class Largest(nn.Module):
    """Without tensors of its own; a choice by values, which torch.where makes."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        largest = x.abs().flatten(1).amax(1).view(-1, *[1] * (x.ndim - 1))
        return torch.where(x > 0, x / (largest + 0.1), 0.1 * x)


class Unlike(nn.Module):
    """Each has a setting of its own."""

    made = 0

    def __init__(self, num_features: int) -> None:
        super().__init__()
        Unlike.made += 1
        self.scale = 1 + 1 / Unlike.made

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Halves(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x / 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2


class Own(nn.Module):
    """A gradient of its own, which torch.vmap does not know."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return Halves.apply(x)


ALLOW = [Batch, Largest, nn.PReLU]
REFUSE = [Drawing, Counting, Reading, Unlike, Remembering, Own]


def folded_with(make: type[nn.Module], lanes: int = 4):
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(2, 3, 3), make(3), nn.Flatten(), nn.Linear(48, 5)) for _ in range(lanes)]
    return networks, fold(networks)


@pytest.mark.parametrize("make", [*ALLOW, *REFUSE])
def test_what_may_run_at_once(make):
    networks, folded = folded_with(make)
    before = [network.state_dict() for network in networks]
    vmap_lanes(make_spec(), folded, (2, 6, 6))
    layer = folded.network[1]
    assert isinstance(layer, LaneByLane) and layer.vmapped is (make in ALLOW)
    for lane, state in enumerate(before):
        for name, value in unfold(folded, lane).state_dict().items():
            assert torch.equal(value, state[name])


def test_the_proof_draws_from_no_stream():
    torch.manual_seed(5)
    expected = torch.rand(3)
    _, folded = folded_with(Drawing)
    torch.manual_seed(5)
    vmap_lanes(make_spec(), folded, (2, 6, 6))
    assert torch.equal(torch.rand(3), expected)


def test_fewer_lanes_run_at_once_too():
    _, folded = folded_with(Batch)
    vmap_lanes(make_spec(), folded, (2, 6, 6))
    assert not folded.separable
    assert select(folded, [0, 2]).network[1].vmapped


@pytest.mark.parametrize(
    ("model", "norm"), [*(("mlp", norm) for norm in [*ALLOW, *REFUSE]), *(("cnn", norm) for norm in ALLOW)]
)
def test_lanes_agree_with_their_reference_runs(model: str, norm, monkeypatch: pytest.MonkeyPatch):
    spec = make_spec(f"model={model}", "norm=none", "precision=fp64", "steps=8", "batch_size=32")
    data, parts, specs = small(load_data(spec), 130), with_norm(norm), lanes_of(spec)
    forward, asked = LaneByLane.forward, []

    def watched(self: LaneByLane, x: Tensor) -> Tensor:
        asked.append(self.vmapped)
        return forward(self, x)

    monkeypatch.setattr(LaneByLane, "forward", watched)
    Unlike.made = 0
    found = stacked(specs, data, parts=parts)
    assert asked[-1] is (norm in ALLOW)
    Unlike.made = 0
    for ours, lane in zip(found, specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours():
    spec = make_spec("model=cnn", "norm=none", "epochs=3", "batch_size=16", "lr=0.05", "divergence_factor=5")
    data, parts = small(load_data(spec), 96), with_norm(nn.PReLU)
    calm = [dataclasses.replace(spec, seed=seed) for seed in range(4)]
    wild = [calm[0], dataclasses.replace(calm[1], lr=1e30), *calm[2:]]
    behaved, disturbed = (stacked(specs, data, parts=parts) for specs in (calm, wild))
    assert isinstance(disturbed[1][-1], Outcome) and disturbed[1][-1].status == "diverged"
    assert [disturbed[lane] for lane in (0, 2, 3)] == [behaved[lane] for lane in (0, 2, 3)]


def test_recorded_steps():
    spec = make_spec(*SHORT, "norm=none", "batch_size=30")
    data, parts, tape, told = small(load_data(spec), 130), with_norm(Batch), Tape(), list[str]()
    specs = lanes_of(spec)
    for ours, lane in zip(recorded(specs, data, tape, told, parts), specs, strict=True):
        assert_equal(ours, alone(lane, data, parts))
    assert tape.played == 20 - 3 and not told
