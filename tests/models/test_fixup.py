"""Fixup against the paper's rules, and against a block written apart from ours."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnbench.errors import Impossible
from bnbench.models import build
from bnbench.norms import NORMS, Fixup
from bnbench.norms.common.input_bias import ShiftedConv2d, ShiftedLinear
from bnbench.spec import Choice


def make(model, norm="fixup", shape=(3, 32, 32), **options):
    return build(Choice.of(model, options), NORMS[norm], shape, 10, 0)


CASES = {
    "resnet20": (("resnet20", {}), 9, 9 ** (-1 / 2), ("conv1",), "conv2", "head"),
    "resnet18": (("torchvision", {"name": "resnet18"}), 8, 8 ** (-1 / 2), ("conv1",), "conv2", "fc"),
    "resnet50": (("torchvision", {"name": "resnet50"}), 16, 16 ** (-1 / 4), ("conv1", "conv2"), "conv3", "fc"),
}


@pytest.mark.parametrize("case", CASES)
def test_initial_weights(case):
    """Rules 1 and 2 of section 3; the weights that are scaled are those of the network without a norm."""
    (model, options), _, factor, inner, last, classifier = CASES[case]
    network, plain = make(model, **options), make(model, "none", **options)
    for path, layer in plain.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        ours, name = network.get_submodule(path), path.split(".")[-1]
        within = "." in path and "downsample" not in path
        if path == classifier or (within and name == last):
            assert not any(parameter.any() for parameter in ours.parameters())
        else:
            expected = layer.weight * (factor if within and name in inner else 1)
            torch.testing.assert_close(ours.weight, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_scalars(case):
    """Rule 3: one scale per branch; a shift before every convolution but the first, linear layer and activation."""
    (model, options), branches, *_ = CASES[case]
    network = make(model, **options)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert isinstance(layers[-1], ShiftedLinear) and type(layers[0]) is nn.Conv2d
    assert all(isinstance(layer, ShiftedConv2d) for layer in layers[1:-1])
    assert all(layer.bias is None for layer in layers[:-1])
    norms = [layer for layer in network.modules() if isinstance(layer, Fixup)]
    assert sum(norm.weight is not None for norm in norms) == branches
    shortcuts = sum("downsample.1" in path for path, _ in network.named_modules())
    assert sum(norm.bias is None for norm in norms) == shortcuts


def plain_block(x, block):
    """A block of the authors' network for small images, whose seven parameters are given."""
    y = F.conv2d(x + block["bias1a"], block["conv1"], stride=block["stride"], padding=1)
    y = F.conv2d(F.relu(y + block["bias1b"]) + block["bias2a"], block["conv2"], padding=1)
    shortcut = x[:, :, :: block["stride"], :: block["stride"]]
    shortcut = torch.cat([shortcut, shortcut.new_zeros(len(x), y.shape[1] - x.shape[1], *y.shape[2:])], 1)
    return F.relu(y * block["scale"] + block["bias2b"] + shortcut)


@pytest.mark.parametrize("name", ["stage0_block0", "stage1_block0"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-6)])
def test_a_block_computes_what_the_paper_draws(name, dtype, tolerance):
    ours = copy.deepcopy(make("resnet20", width=4).get_submodule(name)).to(dtype)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    names = {
        "bias1a": "conv1.input_bias", "conv1": "conv1.weight", "bias1b": "norm1.bias", "bias2a": "conv2.input_bias",
        "conv2": "conv2.weight", "scale": "norm2.weight", "bias2b": "norm2.bias",
    }  # fmt: skip
    assert set(names.values()) == set(dict(ours.named_parameters()))
    theirs = {key: ours.get_parameter(path).detach().double().requires_grad_() for key, path in names.items()}
    x = torch.randn(3, 4, 6, 6, dtype=dtype, requires_grad=True)
    exact_x = x.detach().double().requires_grad_()
    y, exact = ours(x), plain_block(exact_x, {**theirs, "stride": 1 if name == "stage0_block0" else 2})
    direction = torch.randn_like(y)
    (y * direction).sum().backward()
    (exact * direction.double()).sum().backward()
    pairs = [(y, exact), (x.grad, exact_x.grad)]
    pairs += [(ours.get_parameter(path).grad, theirs[key].grad) for key, path in names.items()]
    for value, expected in pairs:
        # a scalar's gradient is a sum of as many terms as there are values
        scale = max(1.0, expected.abs().max().item(), y.numel() ** 0.5)
        assert (value.double() - expected).abs().max().item() <= tolerance * scale


def test_gradient():
    block = copy.deepcopy(make("resnet20", width=2).get_submodule("stage0_block0")).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    names = list(dict(block.named_parameters()))

    def run(x, *parameters):
        return torch.func.functional_call(block, dict(zip(names, parameters, strict=True)), (x,))

    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, *(block.get_parameter(name) for name in names)))


def test_every_block_starts_as_the_identity():
    network = make("resnet20")
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(network.get_submodule("stage0_block1")(x), x)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_networks_without_branches_are_refused(model):
    with pytest.raises(Impossible, match="norm=fixup is for residual networks, and no residual branches of this model"):
        make(model)


@pytest.mark.parametrize("model", ["resnet20", "torchvision"])
def test_a_zero_scale_beside_zero_weights_is_refused(model):
    with pytest.raises(Impossible, match="with a zero scale as well its branches would never train"):
        make(model, zero_init_last_gamma=True)
