"""Gradients explode, vanish or neither, at the rate that theory gives."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from bnbench.components import components
from bnbench.data import order_of
from bnbench.norms.batch import BatchNorm
from bnbench.norms.common.copying import copied
from bnbench.probes import take
from bnbench.probes.pause import loss_and_gradients, training_batches
from bnbench.training.statistics import freeze_statistics
from tests.conftest import load_data, make_spec
from tests.probes.networks import Logistic, data_of, measure, pause_of, values_of

RELU_50 = ("model=mlp", "model.depth=50", "model.activation=relu", "batch_size=128")
SIGMOID_20 = ("model=mlp", "model.depth=20", "model.activation=sigmoid", "model.init=xavier", "batch_size=128")


def growth(*overrides: str) -> float:
    found = [measure("gradient_flow", *overrides, f"seed={seed}") for seed in range(3)]
    return math.prod(values["network", "gradient_growth"] for values in found) ** (1 / 3)


def test_batch_norm_makes_the_gradients_of_a_deep_relu_network_explode():
    """By sqrt(pi / (pi - 1)) = 1.21 per layer (Yang et al. 2019), where He's initialization alone keeps them."""
    assert growth(*RELU_50, "norm=batch") == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), abs=0.02)
    assert growth(*RELU_50, "norm=none") == pytest.approx(1.0, abs=0.02)


def test_batch_norm_keeps_the_gradients_of_a_deep_sigmoid_network_from_vanishing():
    assert growth(*SIGMOID_20, "norm=none") == pytest.approx(0.235, abs=0.015)
    assert growth(*SIGMOID_20, "norm=batch") == pytest.approx(1.03, abs=0.03)


def test_every_layer_of_a_linear_chain_in_closed_form():
    """For z = d c b a x and label 0, dL/da = -sigmoid(-z) d c b x, and so on; the inner layers are b and c."""
    a, b, c, d, x = 0.5, 2.0, -1.5, 0.25, 3.0
    network = Logistic([torch.tensor([[weight]], dtype=torch.float64) for weight in (a, b, c, d)])
    data = data_of(torch.full((4, 1, 1, 1), x), torch.zeros(4, dtype=torch.int64))
    spec = make_spec("batch_size=4", "precision=fp64")
    values = values_of("gradient_flow", pause_of("gradient_flow", spec, network, data))
    z = a * b * c * d * x
    slope = 1 / (1 + math.exp(z))
    for layer, weight in enumerate((a, b, c, d)):
        assert values[f"layers.{layer}", "gradient_norm"] == pytest.approx(abs(slope * z / weight))
        output = math.prod((a, b, c, d)[: layer + 1]) * x
        assert values[f"layers.{layer}", "activation_norm"] == pytest.approx(abs(output))
    assert values["network", "gradient_growth"] == pytest.approx(abs(c / b))


def test_layers_come_in_the_order_of_calling_and_biases_and_norms_are_left_out():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Linear(8, 2)
            self.norm = nn.BatchNorm1d(8)
            self.first = nn.Linear(4, 8)
            self.unused = nn.Linear(4, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.norm(self.first(x.flatten(1))))

    data = data_of(torch.randn(8, 4, 1, 1, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)
    values = values_of("gradient_flow", pause_of("gradient_flow", make_spec("batch_size=8"), Backwards(), data))
    assert [layer for layer, name in values if name == "gradient_norm"] == ["first", "second"]
    assert ("network", "gradient_growth") not in values, "there are no inner layers"


def test_the_weight_of_a_parametrized_layer_belongs_to_it():
    network = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)))
    data = data_of(torch.ones(4, 4, 1, 1), torch.arange(4) % 2)
    values = values_of("gradient_flow", pause_of("gradient_flow", make_spec("batch_size=4"), network, data))
    assert [layer for layer, name in values if name == "gradient_norm"] == ["1"]


class Attentive(nn.Module):
    """Self-attention on the columns of an image, called by keywords, and a layer that nobody calls."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Linear(3, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Linear(4, 2)
        self.unused = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens_NLC = self.widen(x[:, 0])
        mixed_NLC, _ = self.attention(query=tokens_NLC, key=tokens_NLC, value=tokens_NLC)
        return cast(Tensor, self.last(input=mixed_NLC.mean(1)))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.last = nn.Linear(3, 3, bias=False), nn.Linear(3, 3), nn.Linear(3, 2)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.last(self.decoder(self.encoder(x[:, 0].mean(1)).tanh())))


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (Attentive, {"widen": ["widen.weight"], "last": ["last.weight"],
                     "attention": ["attention.in_proj_weight", "attention.out_proj.weight"]}),
        (Tied, {"encoder": ["encoder.weight"], "last": ["last.weight"]}),
    ],
)  # fmt: skip
def test_every_weight_that_is_used_belongs_to_one_layer(network: type[nn.Module], layers: dict[str, list[str]]):
    """Also one that is used where its layer is not called, or by two layers, or by one that puts out two tensors."""
    torch.manual_seed(0)
    data = data_of(torch.randn(4, 1, 5, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1]))
    made, spec = network().double(), make_spec("batch_size=4", "precision=fp64", "lr=0.1")
    pause = pause_of("gradient_flow", spec, made, data)
    values = values_of("gradient_flow", pause)
    _, gradients = loss_and_gradients(pause, made, training_batches(pause, 1)[0])
    expected = {layer: math.hypot(*(gradients[name].norm().item() for name in its)) for layer, its in layers.items()}
    assert {layer: values[layer, "gradient_norm"] for layer, name in values if name == "gradient_norm"} == (
        pytest.approx(expected)
    )
    assert {layer for layer, name in values if name == "activation_norm"} == set(layers)
    shifted = values_of("covariate_shift_gradient", pause_of("covariate_shift_gradient", spec, made, data))
    assert {layer for layer, _ in shifted} == set(layers) - {"widen", "encoder"}


def test_behind_a_freeze_the_gradient_is_the_one_that_is_trained():
    """With the running statistics, which are not those of the batch; before it with those of the batch."""
    spec = make_spec("model=mlp", "norm=batch", "freeze_statistics=1", "epochs=2", "probes=[gradient_flow]")
    data = load_data(spec)
    network = components().build(spec, data)
    steps = order_of(spec, data.train).steps
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, BatchNorm):
                layer.get_buffer("running_var").fill_(4.0)
    for frozen in (False, True):
        trial = copied(network).train()
        if frozen:
            freeze_statistics(trial)
        pause = pause_of("gradient_flow", spec, data=data)
        (batch,) = training_batches(pause, 1)
        _, gradients = loss_and_gradients(pause, trial, batch)
        readings = {
            (one.layer, one.name): one.value for one in take(spec, network, data, steps if frozen else steps - 1)
        }
        expected = gradients["layer0.linear.weight"].norm().item()
        assert readings["layer0.linear", "gradient_norm"] == pytest.approx(expected), frozen
