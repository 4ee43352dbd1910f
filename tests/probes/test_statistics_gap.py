"""What running statistics are worth, held against statistics that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bnbench.norms import BatchNorm
from tests.conftest import make_spec
from tests.probes.networks import data_of, measure, pause_of, values_of


@pytest.mark.parametrize("norm", ["none", "layer", "group"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_without_running_statistics_there_is_no_gap(model: str, norm: str):
    values = measure("statistics_gap", f"model={model}", f"norm={norm}")
    assert values["network", "gap"] == 0
    assert values["network", "running_val_accuracy"] == values["network", "recomputed_val_accuracy"]
    assert values["network", "running_val_loss"] == values["network", "recomputed_val_loss"]
    assert {layer for layer, _ in values} == {"network"}


def test_the_drift_of_a_batch_norm_on_the_data():
    """One batch is all there is, so the recomputed statistics are the mean and variance of the data."""
    x = 3 + 2 * torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    norm = BatchNorm(5)
    var = x.var(0, correction=0)
    norm.running_mean = x.mean(0) + torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5]) * (var + norm.eps).sqrt()
    norm.running_var = 4 * (var + norm.eps) - norm.eps
    network = nn.Sequential(nn.Flatten(), norm, nn.Linear(5, 2))
    with torch.no_grad():
        network[2].weight.fill_(0.3)
        network[2].weight[1] = -0.2
        network[2].bias.zero_()
    data = data_of(x.view(64, 5, 1, 1), (x[:, 0] > 3).long())
    values = values_of("statistics_gap", pause_of("statistics_gap", make_spec("batch_size=64"), network, data))
    assert values["1", "mean_drift"] == pytest.approx(0.9, rel=1e-4)
    assert values["1", "std_drift"] == pytest.approx(math.log(2), rel=1e-4)

    def loss(mean: torch.Tensor, var: torch.Tensor) -> float:
        hat = (x - mean) / (var + norm.eps).sqrt()
        logits = torch.stack([0.3 * hat.sum(1), -0.2 * hat.sum(1)], 1)
        return nn.functional.cross_entropy(logits, data.train.y).item()

    running = loss(norm.running_mean, norm.running_var)
    assert values["network", "evaluation_loss"] == pytest.approx(running, rel=1e-4)
    assert values["network", "running_val_loss"] == pytest.approx(running, rel=1e-4)
    assert values["network", "training_loss"] == pytest.approx(loss(x.mean(0), var), rel=1e-4)
    assert values["network", "recomputed_val_loss"] == pytest.approx(loss(x.mean(0), var), rel=1e-4)
    gap = values["network", "evaluation_loss"] - values["network", "training_loss"]
    assert values["network", "gap"] == gap != 0


def test_before_training_every_batch_norm_has_drifted():
    values = measure("statistics_gap", "model=cnn", "norm=batch")
    layers = {layer for layer, _ in values} - {"network"}
    assert layers == {"layer0.norm", "layer1.norm", "layer2.norm"}
    assert all(values[layer, name] > 0.05 for layer in layers for name in ("mean_drift", "std_drift"))
