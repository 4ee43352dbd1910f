"""Layers with a computed weight against torch's parametrizations, timm's convolutions and closed forms."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from bnbench.errors import Impossible
from bnbench.norms import NORMS
from bnbench.norms.common.reparametrization import weighted_layers
from bnbench.stacking import LaneByLane, fold, unfold
from tests.norms import weight_oracles

ORACLES = {
    "ws": weight_oracles.standardized,
    "scaled_ws": weight_oracles.scaled,
    "weight": weight_oracles.normalized,
    "spectral": weight_oracles.spectral,
}
LAYERS = {
    "linear": lambda: nn.Linear(6, 4),
    "conv": lambda: nn.Conv2d(6, 4, 3, stride=2, padding=1),
    "depthwise": lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6),
    "pointwise": lambda: nn.Conv2d(6, 4, 1),
    "dilated": lambda: nn.Conv2d(6, 4, (3, 2), dilation=2),
}
STEPS = 8
every_norm = pytest.mark.parametrize("norm", ORACLES)
every_layer = pytest.mark.parametrize("kind", LAYERS)


def prepared(norm, layer, **options):
    """Our layer in the place of a given one, which is followed by a classifier."""
    network = nn.Sequential(copy.deepcopy(layer), nn.Linear(2, 2))
    with torch.random.fork_rng():
        NORMS[norm](8, **options).prepare(network, [])
    return network[0]


def draw(kind, dtype):
    x = torch.randn((5, 6) if kind == "linear" else (5, 6, 7, 6), dtype=dtype)
    return x.to(memory_format=torch.channels_last) if kind == "conv" else x


@every_norm
@every_layer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_steps_and_evaluation(norm, kind, dtype):
    """Both are trained by their own gradients, so that an error would grow; the oracle is in float64."""
    layer = LAYERS[kind]().to(dtype)
    ours, oracle = prepared(norm, layer), ORACLES[norm](copy.deepcopy(layer).double())
    theirs = weight_oracles.tensors(oracle)
    if norm == "spectral":
        for name in ("left", "right"):
            theirs[name].copy_(getattr(ours, name))
    tolerance = 1e-10 if dtype == torch.float64 else 2e-6
    optimizers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in (ours, oracle)]
    for step in range(STEPS + 1):
        if dtype == torch.float32:  # rounding of one step, not of all steps
            copy_tensors(theirs, ours)
        for module in (ours, oracle):
            module.train(step < STEPS)
            module.zero_grad()
        x = draw(kind, dtype).requires_grad_()
        exact_x = x.detach().double().requires_grad_()
        y, exact = ours(x), oracle(exact_x)
        direction = torch.randn_like(y)
        (y * direction).sum().backward()
        (exact * direction.double()).sum().backward()
        close(y, exact, tolerance)
        close(x.grad, exact_x.grad, tolerance)
        for name, parameter in ours.named_parameters():
            close(parameter.grad, theirs[name].grad.view(parameter.shape), tolerance)
        for name, buffer in ours.named_buffers():
            close(buffer, theirs[name], tolerance)
        for optimizer in optimizers:
            optimizer.step()


def copy_tensors(theirs, ours):
    with torch.no_grad():
        for name, tensor in ours.state_dict().items():
            theirs[name].copy_(tensor.view(theirs[name].shape))


def close(value, expected, tolerance):
    scale = max(1.0, expected.abs().max().item())
    assert (value.detach().double() - expected.detach()).abs().max().item() <= tolerance * scale


@every_norm
@every_layer
def test_gradient(norm, kind):
    layer = prepared(norm, LAYERS[kind]().double()).eval()
    names = list(dict(layer.named_parameters()))

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    x = draw(kind, torch.float64)[:2].requires_grad_()
    assert gradcheck(run, (x, *(layer.get_parameter(name) for name in names)), fast_mode=kind != "linear")


@pytest.mark.parametrize("norm", ["weight", "spectral"])
def test_the_classifier_is_covered_where_the_papers_do(norm):
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    NORMS[norm](3).prepare(network, [])
    assert all(hasattr(layer, "reparametrization") for layer in weighted_layers(network).values())


@pytest.mark.parametrize("norm", ["ws", "scaled_ws"])
def test_the_classifier_is_left_where_the_papers_do(norm):
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    NORMS[norm](4).prepare(network, [])
    assert [hasattr(layer, "reparametrization") for layer in weighted_layers(network).values()] == [True, False]


def test_weight_normalization_starts_as_the_network_does():
    layer = nn.Conv2d(3, 4, 3).double()
    x = torch.randn(2, 3, 5, 5).double()
    torch.testing.assert_close(prepared("weight", layer)(x), layer(x), rtol=1e-12, atol=1e-12)


def test_spectral_norm_is_one_after_many_iterations():
    layer = prepared("spectral", nn.Conv2d(3, 8, 3).double(), iterations=500)
    largest = torch.linalg.matrix_norm(layer.reparametrization.weight_of(layer).flatten(1), 2)
    assert largest.item() == pytest.approx(1, abs=1e-9)


def test_power_iteration_is_carried_on_in_training_only():
    layer = prepared("spectral", nn.Linear(6, 4))
    x = torch.randn(2, 6)
    before = layer.left.clone(), layer.right.clone()
    layer.eval()(x)
    assert torch.equal(layer.left, before[0]) and torch.equal(layer.right, before[1])
    layer.train()(x)
    assert not torch.equal(layer.left, before[0]) and not torch.equal(layer.right, before[1])


@pytest.mark.parametrize("norm", ["ws", "scaled_ws"])
def test_an_output_of_one_weight_cannot_be_standardized(norm):
    with pytest.raises(Impossible, match=rf"norm={norm}: standardization needs at least two weights .* has 1"):
        prepared(norm, nn.Conv2d(3, 3, 1, groups=3))


@every_norm
def test_computed_weights_are_in_float32_under_autocast(norm):
    layer = prepared(norm, nn.Linear(64, 4))
    exact = layer.eval().reparametrization.weight_of(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.reparametrization.weight_of(layer), exact)


@pytest.mark.parametrize("norm", ["ws", "scaled_ws", "weight", "spectral", "fixup"])
def test_every_layer_has_a_rule_and_comes_apart_again(norm):
    networks = [nn.Sequential(nn.Conv2d(2, 4, 3), NORMS[norm](4), nn.Flatten(), nn.Linear(16, 3)) for _ in range(3)]
    branch = [weight_oracles.branch(network) for network in networks]
    for network, own in zip(networks, branch, strict=True):
        network[1].prepare(network, [own])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
    folded = fold(networks)
    assert not any(isinstance(layer, LaneByLane) for layer in folded.modules())
    folded(torch.randn(6, 2, 4, 4))
    for number, network in enumerate(networks):
        state = unfold(folded, number).state_dict()
        assert state.keys() == network.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in network.named_parameters())
