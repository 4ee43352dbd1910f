"""Every norm against an implementation that shares nothing with it: outputs and gradients, in training and after it."""

import copy

import pytest
import torch
from timm.layers import EvoNorm2dB0, EvoNorm2dS0, FilterResponseNormTlu2d
from torch import nn

from bnbench.norms import NORMS, without_activation
from tests.norms.norm_oracles import (
    BatchInstance,
    ChannelsLast,
    Chunked,
    DynamicTangent,
    ErrorFunction,
    GhostNoise,
    InverseRoot,
    LearnedEps,
    MeanAbsoluteDeviation,
    Noisy,
    OfTimm,
    Others,
    Progressive,
    Renorm,
    Reparametrized,
    Response,
    RootMeanSquare,
    Scalars,
    Switchable,
)
from tests.products import long

C = 8
SHAPES = {"2-D": (12, C), "4-D": (12, C, 3, 2), "channels-last": (12, C, 3, 2)}


def batch_layer(kind, **options):
    return (nn.BatchNorm1d if kind == "2-D" else nn.BatchNorm2d)(C, **options)


CASES = {
    "none": ({}, lambda kind: nn.Identity()),
    "batch": ({}, batch_layer),
    "batch momentum=0.3": ({"momentum": 0.3, "eps": 1e-3}, lambda kind: batch_layer(kind, momentum=0.3, eps=1e-3)),
    "batch momentum=null": ({"momentum": None}, lambda kind: batch_layer(kind, momentum=None)),
    "batch track=false": ({"track": False}, lambda kind: batch_layer(kind, track_running_stats=False)),
    "batch affine=none": ({"affine": "none"}, lambda kind: batch_layer(kind, affine=False)),
    "batch affine=none track=false": (
        {"affine": "none", "track": False},
        lambda kind: batch_layer(kind, affine=False, track_running_stats=False),
    ),
    "ghost": ({}, batch_layer),
    "ghost chunk=12": ({"chunk": 12}, lambda kind: Chunked(batch_layer(kind), 12)),
    "ghost chunk=4": ({"chunk": 4}, lambda kind: Chunked(batch_layer(kind), 4)),
    "ghost chunk=5": ({"chunk": 5}, lambda kind: Chunked(batch_layer(kind), 5)),
    "ghost chunk=7": ({"chunk": 7, "momentum": 0.3}, lambda kind: Chunked(batch_layer(kind, momentum=0.3), 7)),
    "ghost chunk=3": ({"chunk": 3, "affine": "none"}, lambda kind: Chunked(batch_layer(kind, affine=False), 3)),
    "renorm r_max=1 d_max=0": ({"r_max": 1.0, "d_max": 0.0, "warmup_steps": 0}, batch_layer),
    "renorm": (
        {"r_max": 1.3, "d_max": 0.2, "warmup_steps": 4, "ramp_steps": 9},
        lambda kind: Renorm(C, 1.3, 0.2, 4, 9),
    ),
    "renorm unlimited": (
        {"r_max": 1e6, "d_max": 1e6, "warmup_steps": 1, "ramp_steps": 1},
        lambda kind: Renorm(C, 1e6, 1e6, 1, 1),
    ),
    "group": ({}, lambda kind: nn.GroupNorm(4, C)),
    "group groups=2": ({"groups": 2, "affine": "none"}, lambda kind: nn.GroupNorm(2, C, affine=False)),
    "layer": ({}, lambda kind: nn.GroupNorm(1, C)),
    "layer over=channels": ({"over": "channels"}, lambda kind: ChannelsLast(nn.LayerNorm(C))),
    "instance": ({}, lambda kind: nn.InstanceNorm2d(C)),
    "instance affine=both": ({"affine": "both"}, lambda kind: nn.InstanceNorm2d(C, affine=True)),
    "rms": ({}, lambda kind: RootMeanSquare(C)),
    "ws": ({}, lambda kind: nn.GroupNorm(4, C)),
    "ws groups=2": ({"groups": 2, "affine": "none"}, lambda kind: nn.GroupNorm(2, C, affine=False)),
    "ws statistics=batch": ({"statistics": "batch", "momentum": 0.3}, lambda kind: batch_layer(kind, momentum=0.3)),
    "scaled_ws": ({}, lambda kind: nn.Identity()),
    "weight": ({}, lambda kind: nn.Identity()),
    "spectral": ({}, lambda kind: nn.Identity()),
    "fixup": ({}, lambda kind: Scalars()),
    "rms over=channels": ({"over": "channels"}, lambda kind: ChannelsLast(nn.RMSNorm(C, eps=1e-5))),
    "sync": ({}, batch_layer),
    "precise": ({}, batch_layer),
    "precise affine=none": ({"affine": "none"}, lambda kind: batch_layer(kind, affine=False)),
    "l1_batch": ({}, lambda kind: MeanAbsoluteDeviation(C)),
    "noisy_batch": ({}, lambda kind: Noisy(batch_layer(kind))),
    "noisy_batch without noise": (
        {"shift": 0.0, "scale": 1.0, "shift_spread": 0.0, "scale_spread": 0.0},
        batch_layer,
    ),
    "batch_instance": ({}, lambda kind: BatchInstance(C)),
    "switchable": ({}, lambda kind: Switchable(C)),
    "frn": ({"eps": 1e-5}, lambda kind: OfTimm(FilterResponseNormTlu2d(C))),
    "frn eps=1e-6": ({}, lambda kind: OfTimm(FilterResponseNormTlu2d(C, eps=1e-6))),
    "frn learn_eps=true": ({"learn_eps": True}, lambda kind: LearnedEps(C)),
    "evonorm_b0": ({}, lambda kind: OfTimm(EvoNorm2dB0(C))),
    "evonorm_s0": ({}, lambda kind: OfTimm(EvoNorm2dS0(C, groups=4))),
    "evonorm_s0 groups=2": ({"groups": 2, "eps": 1e-3}, lambda kind: OfTimm(EvoNorm2dS0(C, groups=2, eps=1e-3))),
    "dyt": ({}, lambda kind: DynamicTangent(C)),
    "derf": ({}, lambda kind: ErrorFunction(C)),
    "isru": ({}, lambda kind: InverseRoot(C)),
    "grn": ({}, lambda kind: Response(C)),
    "xbn": ({}, lambda kind: Others(C)),
    "ghost_noise": ({}, lambda kind: GhostNoise(C, 32)),
    "ghost_noise chunk=3": ({"chunk": 3}, lambda kind: GhostNoise(C, 3)),
    "repbn": ({}, lambda kind: Reparametrized(batch_layer(kind))),
    "prepbn": ({"decay_steps": 4}, lambda kind: Progressive(batch_layer(kind), C, 4)),
}


def test_every_norm_has_an_oracle():
    assert {case.split()[0] for case in CASES} == set(NORMS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_steps_and_evaluation(case, kind, dtype):
    """As many as renorm takes to reach its limits; the others do the same at each."""
    name = case.split()[0]
    options, make_oracle = CASES[case]
    if kind == "2-D" and not (NORMS[name].facts.vectors or options.get("learn_eps")):
        pytest.skip("refused, see test_norm_refusals")
    ours, oracle = NORMS[name](C, **options).to(dtype), make_oracle(kind).double()
    randomize(ours, oracle)
    peer = copy.deepcopy(oracle).to(dtype)
    for step in range(15 if name == "renorm" else 6):
        agree(ours, oracle, peer, draw(kind, dtype, step))
    for module in (ours, oracle, peer):
        module.eval()
    agree(ours, oracle, peer, draw(kind, dtype, 0))


def randomize(ours, oracle):
    with torch.no_grad():
        for (name, mine), (_, theirs) in zip(parameters(ours), parameters(oracle), strict=True):
            value = torch.randn(mine.shape)
            theirs.copy_(mine.copy_(value.sigmoid() if name == "rho" else value))


def parameters(module):
    return sorted((path.split(".")[-1], parameter) for path, parameter in module.named_parameters())


def draw(kind, dtype, step):
    x = torch.randn(SHAPES[kind], dtype=dtype) * (1 + step / 10) + 0.5
    return x.to(memory_format=torch.channels_last) if kind == "channels-last" else x


def agree(ours, oracle, peer, x):
    """Agree with the oracle in float64, up to rounding and what the oracle itself loses in the precision of x.

    The gradient of a single number is a sum over all values of x that may all but cancel: it rounds as they do.
    """
    direction = torch.randn_like(x)
    mine, exact = results(ours, x, direction), results(oracle, x.double(), direction)
    for value, expected, rounded in zip(mine, exact, results(peer, x, direction), strict=True):
        tolerance = 1e-10 if x.dtype == torch.float64 else 2e-6
        scale = max(1.0, expected.abs().max().item(), 0.0 if expected.dim() else x[:, 0].numel() ** 0.5)
        lost = (rounded.double() - expected).abs().max().item()
        assert value.dtype == x.dtype
        assert (value.double() - expected).abs().max().item() <= tolerance * scale + (lost if tolerance > 1e-9 else 0)


def results(module, x, direction):
    """The output, and the gradients of the input and of the parameters."""
    x = x.detach().requires_grad_()
    torch.manual_seed(2)
    y = module(x)
    inputs = [x, *(parameter for _, parameter in parameters(module))]
    gradients = torch.autograd.grad(
        (y * direction.to(y.dtype)).sum(), inputs, allow_unused=True, materialize_grads=True
    )
    return [y.detach(), *gradients]


@pytest.mark.parametrize(
    ("name", "make_oracle"),
    [
        ("frn", lambda: FilterResponseNormTlu2d(C, apply_act=False, eps=1e-6)),
        ("evonorm_b0", lambda: EvoNorm2dB0(C, apply_act=False)),
        ("evonorm_s0", lambda: EvoNorm2dS0(C, groups=4, apply_act=False)),
    ],
)
def test_without_activation(name, make_oracle):
    """What is left before the addition of a residual block is what timm leaves."""
    ours, oracle = NORMS[name](C).double(), OfTimm(make_oracle()).double()
    without_activation(ours)
    randomize(ours, oracle)
    for _ in range(3):
        agree(ours, oracle, oracle, draw("4-D", torch.float64, 0))
    agree(ours.eval(), oracle.eval(), oracle, draw("4-D", torch.float64, 0))


@pytest.mark.parametrize("is_projected", [True, pytest.param(False, marks=long)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", [case for case in CASES if case.split()[0] not in ("none", "renorm", "ghost_noise")])
def test_gradients_are_those_of_finite_differences(case, training, is_projected):
    """Those of ``renorm`` leave its corrections out, see test_norm_running, and those of ``ghost_noise`` its noise.

    All derivatives are seen at once along random directions, in which none is left out, or one by one.
    """
    options, _ = CASES[case]
    norm = NORMS[case.split()[0]](4, **{**options, **({"groups": 2} if "groups" in options else {})}).double()
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            value = torch.randn(parameter.shape)
            parameter.copy_(value.sigmoid() if name == "rho" else value)
    norm(torch.randn(14, 4, 2, 1).double())
    state = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    names, values = list(dict(norm.named_parameters())), list(norm.parameters())

    def run(x, *parameters):
        torch.manual_seed(3)
        tensors = {name: buffer.clone() for name, buffer in state.items()}
        return torch.func.functional_call(norm, tensors | dict(zip(names, parameters, strict=True)), (x,))

    norm.train(training)
    x = torch.randn(14, 4, 2, 1, dtype=torch.float64, requires_grad=True)
    inputs = (x, *(value.detach().requires_grad_() for value in values))
    close = {"atol": 1e-7, "rtol": 1e-5} if is_projected else {}  # so that one derivative that is 0.01 off is seen
    assert torch.autograd.gradcheck(run, inputs, fast_mode=is_projected, **close)
