"""Small networks and data on which the answers of probes are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnbench.components import components
from bnbench.data import Augmentation, Data, Examples
from bnbench.probes import PROBES, Pause
from bnbench.spec import ProbeName, RunSpec, stream
from bnbench.training.forward import dtype_of
from tests.conftest import load_data, make_spec


def data_of(x: Tensor, y: Tensor, classes: int = 2) -> Data:
    """The same examples for training, validation and test, which normalization leaves as they are."""
    examples, channels = Examples(x, y), x.shape[1]
    zero, one = torch.zeros(channels), torch.ones(channels)
    return Data(examples, examples, examples, classes, zero, one, Augmentation())


def pause_of(name: ProbeName, spec: RunSpec, network: nn.Module | None = None, data: Data | None = None) -> Pause:
    """A pause before the first step, by default of the spec's own network on its own data."""
    data = load_data(spec) if data is None else data
    network = components().build(spec, data) if network is None else network
    network = network.to(dtype_of(spec)).train()
    return Pause(spec, network, data, 0, stream(spec.seed, "probe", name))


def measure(name: ProbeName, *overrides: str) -> dict[tuple[str, str], float]:
    """What a probe says of a new network, by layer and name."""
    return values_of(name, pause_of(name, make_spec(*overrides)))


def values_of(name: ProbeName, pause: Pause) -> dict[tuple[str, str], float]:
    """What a probe says, by layer and name, each of them once."""
    values = PROBES[name](pause)
    found = {(value.layer, value.name): value.value for value in values}
    assert len(found) == len(values)
    return found


class Logistic(nn.Module):
    """Linear layers without bias from [N, F, 1, 1] to one number z; the logits are (z, 0).

    For label 0 the cross-entropy is ``ln(1 + exp(-z))``.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for weight_OF in weights:
            layer = nn.Linear(weight_OF.shape[1], weight_OF.shape[0], bias=False)
            layer.weight = nn.Parameter(weight_OF.clone())
            self.layers.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers:
            x = layer(x)
        return torch.cat([x, torch.zeros_like(x)], 1)


class Noise(nn.Module):
    """A norm that draws random numbers in training, and keeps a running mean in the way of torch.nn.BatchNorm2d."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.register_buffer("mean", torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mean = self.get_buffer("mean")
        mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return x + 0.1 * self.weight * torch.randn_like(x)


def noisy_network(seed: int) -> nn.Module:
    """A network for digits with a random norm."""
    rng = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), Noise(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight.normal_(0, 0.2, generator=rng)
                layer.bias.zero_()
    return network
