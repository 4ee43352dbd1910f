"""No bias is trained that the norm behind it cancels: found by changing biases and looking at what comes out."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from bnbench.errors import Impossible
from bnbench.models import MODELS, build
from bnbench.models.replacement import LastAxisNorm
from bnbench.norms import NORMS
from bnbench.spec import Choice
from tests.products import long, whole

SHAPE = (3, 32, 32)


class Naive(nn.Module):
    """A user's batch norm, whose scale and shift have names of their own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        dims, shape = [0, *range(2, x.dim())], [1, -1] + [1] * (x.dim() - 2)
        var, mean = torch.var_mean(x, dims, keepdim=True, correction=0)
        return (x - mean) / (var + 1e-5).sqrt() * self.gamma.view(shape) + self.beta.view(shape)


class Stubborn(Naive):
    """The same, of which nothing is left at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        nn.init.zeros_(self.gamma)


class Plain(nn.Module):
    """A user's model with biases before all norms, one of which has another reader."""

    def __init__(self, norm, shape, classes) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(shape[0], 16, 3, stride=4), norm(16)
        self.second, self.norm2 = nn.Conv2d(16, 16, 3), norm(16)
        self.seen: Tensor | None = None
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x = self.norm1(self.first(x)).relu()
        x = self.second(x)
        return self.head((self.norm2(x) + x).mean((2, 3)))


class Prenorm(nn.Module):
    """A user's residual stream, of which all that is read goes through norms, and channels that come last."""

    def __init__(self, norm, shape, classes) -> None:
        super().__init__()
        self.stem, self.norm1, self.block = nn.Conv2d(shape[0], 16, 4, stride=4), norm(16), nn.Conv2d(16, 16, 1)
        self.norm2 = LastAxisNorm(norm(16))
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.block(self.norm1(x).relu())
        return self.head(self.norm2(x.permute(0, 2, 3, 1)).square().mean((1, 2)))


class Subclass(_BatchNorm):
    """torch's own, for vectors and images."""

    def _check_input_dim(self, x: Tensor) -> None:
        pass


CUSTOM = {"naive": Naive, "stubborn": Stubborn, "torch": lambda channels: Subclass(channels, affine=False)}
ALL_MODELS = {
    **MODELS,
    "plain": lambda norm, shape, classes: Plain(norm, shape, classes),
    "prenorm": lambda norm, shape, classes: Prenorm(norm, shape, classes),
}
NETWORKS = [
    ("mlp", {"width": 16, "depth": 2}),
    ("mlp", {"width": 16, "depth": 2, "placement": "after"}),
    ("mlp", {"width": 16, "depth": 2, "placement": "after", "activation": "none"}),
    ("mlp", {"width": 16, "depth": 2, "bias": "always"}),
    ("cnn", {"width": 16}),
    ("cnn", {"width": 16, "bias": "always"}),
    ("resnet20", {"width": 16}),
    ("vit", {"dim": 16, "depth": 1, "patch": 4}),
    ("vit", {"dim": 16, "depth": 1, "patch": 4, "placement": "peri", "qk_norm": True, "pool": "class"}),
    ("convmixer", {"dim": 16, "depth": 1, "patch": 4}),
    ("gpt", {"dim": 16, "depth": 1}),
    ("convnext", {"dim": 8, "depth": 1, "kernel": 3}),
    ("plain", {}),
    ("prenorm", {}),
    ("torchvision", {"name": "vgg11_bn"}),
]
ARMS = [
    *[
        (name, {"affine": affine})
        for name in NORMS
        for affine in ("both", "none")
        if "affine" in inspect.signature(NORMS[name]).parameters
    ],
    *[(name, {}) for name in NORMS if "affine" not in inspect.signature(NORMS[name]).parameters],
    *[("group", {"groups": 16, "affine": "none"}), ("ws", {"groups": 16, "affine": "none"})],
    *[("ws", {"statistics": "batch", "affine": "none"}), ("batch", {"track": False, "affine": "none"})],
    *[(name, {}) for name in CUSTOM],
]
IN_EVERY_NETWORK = ("none", "batch", "layer", "group", "instance", "rms", "fixup", *CUSTOM)
"""Of each way to shift what a bias adds: per channel, over channels, over groups of them, not at all, by a user."""
FEW = [
    ("mlp", {"width": 16, "depth": 2}),
    ("mlp", {"width": 16, "depth": 2, "placement": "after"}),
    ("cnn", {"width": 16}),
    ("prenorm", {}),
]
"""Networks with every norm: the rest are for :data:`IN_EVERY_NETWORK`, as a path is the same for all norms of a way."""
CHEAP = [
    pytest.param(arm, network, marks=() if arm[0] in IN_EVERY_NETWORK or network in FEW else long)
    for arm in ARMS
    for network in NETWORKS
    if network[0] != "torchvision"
]
LARGE = [
    pytest.param((norm, {"affine": "none"}), network, marks=long if norm == "batch" else whole)
    for norm in ("batch", "instance", "layer")
    for network in NETWORKS
    if network[0] == "torchvision"
]


def biases_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """Those of layers with weights, by path."""
    layers = ((path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Linear | _ConvNd))
    return {path: layer.bias for path, layer in layers if layer.bias is not None}


@torch.no_grad()
def outputs(network: nn.Module, x: Tensor) -> Tensor:
    """Those in training, with the same random numbers and from the same buffers at each call."""
    torch.manual_seed(1)
    state = {name: buffer.clone() for name, buffer in network.named_buffers()}
    y = network(x)
    for name, buffer in network.named_buffers():
        buffer.copy_(state[name])
    return y


@torch.no_grad()
def reached(network: nn.Module, bias: nn.Parameter, x: Tensor, before: Tensor) -> bool:
    """Whether another bias gives other outputs than before."""
    kept = bias.clone()
    bias.add_(torch.linspace(-1, 2, len(bias), dtype=bias.dtype))
    after = outputs(network, x)
    bias.copy_(kept)
    return not torch.allclose(before, after, rtol=1e-8, atol=1e-9 * before.abs().max().item())


@pytest.mark.parametrize(("arm", "network"), [*CHEAP, *LARGE])
def test_a_bias_is_trained_if_and_only_if_it_changes_what_comes_out(arm, network):
    (norm, norm_options), (model, options) = arm, network
    kind, shape = {**NORMS, **CUSTOM}[norm], (5, 1, 8) if model == "gpt" else SHAPE
    try:
        made = build(
            Choice.of(model, options), lambda channels: kind(channels, **norm_options), shape, 5, 0, ALL_MODELS
        ).double()
        made(torch.randn(4, *shape).double())
    except Impossible:
        assert model in ("mlp", "vit", "convmixer", "gpt", "convnext") or norm == "fixup"
        return
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():  # nothing that is zero at the start hides a bias
            parameter.add_(0.05 * torch.randn(parameter.shape, dtype=torch.float64, generator=rng))
    x = torch.randn(4, *shape, dtype=torch.float64, generator=rng)
    before = outputs(made.train(), x)
    for path, bias in biases_of(made).items():
        assert bias.requires_grad == reached(made, bias, x, before), path
