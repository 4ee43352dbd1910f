"""Both measures of internal covariate shift, where the answer is known."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnbench.spec import RunSpec
from tests.conftest import make_spec
from tests.probes.networks import Logistic, data_of, measure, pause_of, values_of

LR = 0.3
X = np.array([1.0, -2.0])
FIRST, SECOND = np.array([[0.4, 0.3], [-0.2, 0.5]]), np.array([[0.7, -0.6]])


def sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def shift_of_the_second_layer(spec: RunSpec) -> dict[tuple[str, str], float]:
    network = Logistic([torch.from_numpy(FIRST), torch.from_numpy(SECOND)])
    data = data_of(torch.from_numpy(X).view(1, 2, 1, 1).repeat(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    return values_of("covariate_shift_gradient", pause_of("covariate_shift_gradient", spec, network, data))


@pytest.mark.parametrize(("decay", "momentum"), [(0.0, 0.0), (0.1, 0.9)])
def test_the_change_of_a_gradient_in_closed_form(decay: float, momentum: float):
    """For z = v W x and label 0, dL/dv = -sigmoid(-z) W x and dL/dW = -sigmoid(-z) v x^T."""
    spec = make_spec("batch_size=4", "precision=fp64", f"lr={LR}", f"optim.weight_decay={decay}",
                     f"optim.momentum={momentum}")  # fmt: skip
    values = shift_of_the_second_layer(spec)

    def gradient(first: np.ndarray) -> np.ndarray:
        hidden = first @ X
        return -sigmoid(-float(SECOND[0] @ hidden)) * hidden

    slope = -sigmoid(-float(SECOND[0] @ FIRST @ X))
    moved = FIRST - LR * (slope * np.outer(SECOND[0], X) + decay * FIRST)
    before, after = gradient(FIRST), gradient(moved)
    size = np.linalg.norm(before)
    change = np.linalg.norm(after - before)
    expected = {
        "gradient": size,
        "difference": change,
        "relative_difference": change / size,
        "cosine": before @ after / size / np.linalg.norm(after),
    }
    assert values == pytest.approx({("layers.1", name): value for name, value in expected.items()})
    assert 0.05 < values["layers.1", "relative_difference"] and values["layers.1", "cosine"] < 0.99


def test_the_learning_rate_is_that_of_the_moment_and_the_gradient_is_clipped():
    spec = make_spec("batch_size=4", "precision=fp64", f"lr={LR}")
    warming = make_spec("batch_size=4", "precision=fp64", f"lr={2 * LR}", "schedule.warmup=0.1", "epochs=10")
    assert shift_of_the_second_layer(warming) == shift_of_the_second_layer(spec), "one step of warm-up is half the rate"
    clipped = shift_of_the_second_layer(dataclasses.replace(spec, grad_clip=1e-6))
    assert clipped["layers.1", "relative_difference"] < 1e-5


def test_a_network_without_steps_or_randomness_between_has_no_shift():
    """Running statistics and random numbers are the same for both gradients, so only the step is seen."""
    for norm in ("norm=renorm", "norm=batch"):
        values = measure("covariate_shift_gradient", "model=mlp", norm, "lr=1e-30", "precision=fp64")
        layers = {layer for layer, _ in values}
        assert layers == {"layer1.linear", "layer2.linear", "head"}
        assert all(values[layer, "difference"] == 0 for layer in layers)
        assert all(values[layer, "cosine"] == pytest.approx(1) for layer in layers)


@pytest.mark.parametrize("inplace", [False, True])
def test_percentiles_of_a_linear_layer_in_closed_form(inplace: bool):
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2), nn.ReLU(inplace), nn.Linear(2, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[2.0], [-3.0]]))
        network[1].bias.copy_(torch.tensor([1.0, -1.0]))
    x = torch.arange(101, dtype=torch.float32)
    data = data_of(x.view(-1, 1, 1, 1), torch.arange(101) % 2)
    spec = make_spec("batch_size=20", "drop_last=false")
    values = values_of("covariate_shift_distribution", pause_of("covariate_shift_distribution", spec, network, data))
    expected = {
        ("2[0]", "p15"): 2 * 15 + 1, ("2[0]", "p50"): 2 * 50 + 1, ("2[0]", "p85"): 2 * 85 + 1,
        ("2[0]", "std"): 2 * x.std(correction=0).item(),
        ("2[1]", "p15"): -3 * 85 - 1, ("2[1]", "p50"): -3 * 50 - 1, ("2[1]", "p85"): -3 * 15 - 1,
        ("2[1]", "std"): 3 * x.std(correction=0).item(),
    }  # fmt: skip
    assert values == pytest.approx(expected)


def test_an_activation_that_is_called_twice_has_two_places_and_units_stay_the_same():
    activation = nn.ReLU()
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 20), activation, nn.Linear(20, 20), activation, nn.Linear(20, 2))
    data = data_of(torch.randn(40, 4, 1, 1, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2)
    spec = make_spec("batch_size=8")
    first = values_of("covariate_shift_distribution", pause_of("covariate_shift_distribution", spec, network, data))
    with torch.no_grad():
        network[3].weight.mul_(2)
    second = values_of("covariate_shift_distribution", pause_of("covariate_shift_distribution", spec, network, data))
    layers = {layer for layer, _ in first}
    assert len({layer for layer in layers if layer.startswith("2[")}) == 8
    assert len({layer for layer in layers if layer.startswith("2#2[")}) == 8
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]) == key[0].startswith("2[") for key in first)


def test_batch_norm_gives_every_unit_the_same_spread():
    values = measure("covariate_shift_distribution", "model=cnn", "norm=batch")
    spreads = [value for (_, name), value in values.items() if name == "std"]
    assert len(spreads) == 24 and spreads == pytest.approx([1.0] * 24, abs=1e-3)


class Tokens(nn.Module):
    """A feed-forward layer on every token, [N, L, D], behind one that makes tokens of the columns of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.widen, self.relu = nn.Conv1d(1, 3, 1), nn.Linear(3, 5), nn.ReLU()
        self.early, self.last = nn.ReLU(), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.early(self.tokens(x[:, 0]))  # channels before positions
        return cast(Tensor, self.last(self.relu(self.widen(x.transpose(1, 2))).mean(1)))


def test_units_are_channels_where_they_are_the_last_axis_as_well() -> None:
    """Before linear layers on tokens the channels of a convolution are the axis behind that of the examples."""
    network, x = Tokens(), torch.randn(8, 1, 1, 7, generator=torch.Generator().manual_seed(0))
    spec, data = make_spec("batch_size=8"), data_of(x, torch.zeros(8, dtype=torch.int64))
    values = values_of("covariate_shift_distribution", pause_of("covariate_shift_distribution", spec, network, data))
    early_NCL = network.tokens(x[:, 0]).detach()
    wide_NLD = network.widen(early_NCL.relu().transpose(1, 2)).detach()
    channels = {f"early[{unit}]": early_NCL[:, unit] for unit in range(3)}
    channels |= {f"relu[{unit}]": wide_NLD[:, :, unit] for unit in range(5)}
    expected = {(label, "p50"): np.percentile(its.double(), 50) for label, its in channels.items()}
    assert {key: value for key, value in values.items() if key[1] == "p50"} == pytest.approx(expected)
