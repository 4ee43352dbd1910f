"""Lanes beside each other, as a GPU has them, give each lane what the reference engine gives that run alone.

All of it runs on the CPU; test_cuda.py has what a GPU adds.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from bnbench.components import components
from bnbench.data import Data
from bnbench.engines import StackOptions, train_stack
from bnbench.plan.feasibility import obstacles
from bnbench.spec import Adam, AdamW, RunSpec
from bnbench.stacking import fold, prove, select
from bnbench.stacking.layers.batched_matmul import wide_product
from bnbench.stacking.layers.convolution import FoldedConv2d
from bnbench.stacking.layers.layout import lanes_in_batch, lanes_in_channels
from bnbench.stacking.layers.windows import convolve_windows, shared_zeros
from bnbench.stacking.optimizers import LaneAdam, LaneSgd
from bnbench.training import Outcome, Record
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import alone, assert_equal, lanes_of, small, usual
from tests.norms.refusals import is_expected
from tests.products import MECHANISMS, products

LANES, BATCH = 3, 3


def wide(specs: Sequence[RunSpec], data: Data) -> list[list[Record]]:
    """What a stack yields whose lanes lie beside each other; that they may is proved."""
    build = components().build
    found: list[list[Record]] = [[] for _ in specs]
    assert prove(lambda seed: build(specs[0], data), data.shape, BATCH, True) is None
    networks = [build(spec, data) for spec in specs]
    for records in train_stack(specs, networks, [data] * len(specs), options=StackOptions(wide=True)):
        for lane, record in records:
            found[lane].append(record)
    return found


@pytest.mark.parametrize(("model", "norm"), products(["mlp", "cnn", "resnet20"], deep=("batch",), vectors=MECHANISMS))
def test_lanes_agree_with_their_reference_runs(model: str, norm: str):
    spec = usual(model, norm)
    data = small(load_data(spec), 64)
    refused = obstacles({"run": spec}, components(), lambda spec: data)
    if refused:
        assert is_expected(norm, refused["run"])
        return
    specs = lanes_of(spec)
    for ours, lane in zip(wide(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


@pytest.mark.parametrize(
    "settings",
    [
        ["optim=adamw", "lr=0.01", "optim.decay_norm=false"],
        ["grad_clip=0.1", "optim.nesterov=true", "optim.momentum=0.9"],
        ["drop_last=false", "batch_size=30", "evaluate.statistics=batch"],
        ["freeze_statistics=1", "model=resnet20", "epochs=2"],
        ["evaluate.statistics=recomputed", "evaluate.recompute_batches=3"],
        ["model.pool=average", "model.bias=always", "model.activation=gelu"],
    ],
    ids=" ".join,
)
def test_every_setting(settings: list[str]):
    given = {text.split("=")[0] for text in settings}
    common = (
        "model=cnn",
        "norm=batch",
        "precision=fp64",
        "epochs=3",
        "batch_size=32",
        "dataset=synthetic",
        "dataset.size=8",
    )
    spec = make_spec(*(text for text in common if text.split("=")[0] not in given), *settings)
    data = small(load_data(spec), 130)
    specs = [dataclasses.replace(spec, seed=seed, lr=spec.lr / 2**seed) for seed in range(3)]
    for ours, lane in zip(wide(specs, data), specs, strict=True):
        assert_equal(ours, alone(lane, data))


def test_a_lane_that_diverges_leaves_no_bit_of_the_others_changed():
    spec = make_spec("model=cnn", "norm=batch", "epochs=4", "batch_size=16", "divergence_factor=5", "lr=0.05")
    data = small(load_data(spec), 128)
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(3)]
    usual, beside = wide(specs, data), wide([specs[0], dataclasses.replace(specs[1], lr=1e30), specs[2]], data)
    assert isinstance(beside[1][-1], Outcome) and beside[1][-1].status == "diverged"
    assert [beside[0], beside[2]] == [usual[0], usual[2]]


class Crossing(nn.Module):
    """Adds neighbouring channels between its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = y + y.roll(1, 1)
        out: Tensor = self.head(y.flatten(1))
        return out


def test_a_network_that_mixes_channels_by_itself_is_not_proved():
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Crossing()

    assert prove(build, (1, 8, 8), BATCH) is None
    reason = prove(build, (1, 8, 8), BATCH, True)
    assert reason is not None and reason.startswith("training: output differs by")


def test_some_lanes_of_a_wide_network_are_wide():
    torch.manual_seed(0)
    networks = [
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3)) for _ in range(LANES)
    ]
    folded = fold(networks, wide=True).eval()
    x_KNCHW = torch.randn(LANES, BATCH, 1, 8, 8)
    chosen = select(folded, [2, 0])
    assert chosen.wide and not chosen.separable
    parts = folded(x_KNCHW.flatten(0, 1)).chunk(LANES)
    torch.testing.assert_close(chosen(x_KNCHW[[2, 0]].flatten(0, 1)), torch.cat([parts[2], parts[0]]))


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride", "padding", "dilation"),
    [*itertools.product((1, 3), (7, 8), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2))],
)
def test_a_product_of_windows_is_the_convolution(
    channels: int, size: int, kernel: int, stride: int, padding: int, dilation: int
):
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, kernel, stride, padding, dilation, bias=False).double() for _ in range(LANES)]
    folded = FoldedConv2d(layers)
    x = torch.randn(LANES * BATCH, channels, size, size + 1, dtype=torch.float64, requires_grad=True)
    beside = lanes_in_channels(x, LANES)
    windows = folded.windows(beside)
    if windows is None:
        assert padding > dilation * (kernel - 1), "zeros that no kernel at the border sees"
        return
    expected = torch.cat([layer(part) for layer, part in zip(layers, x.chunk(LANES), strict=True)])
    received = lanes_in_batch(convolve_windows(beside, folded.weight, LANES, windows), LANES)
    direction = torch.randn_like(expected)
    mine = torch.autograd.grad(received, (x, folded.weight), direction)
    theirs = torch.autograd.grad(expected, (x, *[layer.weight for layer in layers]), direction)
    torch.testing.assert_close((received, *mine), (expected, theirs[0], torch.cat(theirs[1:])), rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("size", "kernels"),
    [
        *((size, [(3, 1), (3, 1)]) for size in (1, 2, 5)),
        (6, [(3, 1), (3, 0)]),
        (7, [(5, 1), (5, 1)]),
        (8, [(5, 2), (3, 0), (7, 3)]),
        (5, [(2, "same")]),
        (6, [(4, "same"), (4, "same")]),
    ],
    ids=str,
)
def test_images_that_take_turns_between_zeros_keep_their_patches(size: int, kernels: list[tuple[int, int | str]]):
    """At a size of 1 patches are all that there is; others have as much room, and lie elsewhere in it."""
    torch.manual_seed(0)
    layers = [
        [nn.Conv2d(3, 3, kernel, padding=padding, bias=False).double() for _ in range(LANES)]
        for kernel, padding in kernels
    ]
    folded = [FoldedConv2d(lanes) for lanes in layers]
    x = torch.randn(LANES * BATCH, 3, size, size, dtype=torch.float64, requires_grad=True)
    with shared_zeros():
        y = lanes_in_channels(x, LANES)
        for layer in folded:
            windows = layer.windows(y)
            assert windows is not None
            y = convolve_windows(y, layer.weight, LANES, windows)
        received = lanes_in_batch(y, LANES)
        direction = torch.randn_like(received)
        mine = torch.autograd.grad(received, (x, *[layer.weight for layer in folded]), direction)
    parts = [nn.Sequential(*lane)(part) for *lane, part in zip(*layers, x.chunk(LANES), strict=True)]
    expected = torch.cat(parts)
    theirs = torch.autograd.grad(expected, (x, *[layer.weight for lanes in layers for layer in lanes]), direction)
    weights = [torch.cat(theirs[at : at + LANES]) for at in range(1, len(theirs), LANES)]
    torch.testing.assert_close((received, *mine), (expected, theirs[0], *weights), rtol=1e-12, atol=1e-12)


def test_a_product_of_lanes_beside_each_other():
    x_MKF, weight_KOF = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 3, 4), (3, 2, 4))
    )
    assert torch.autograd.gradcheck(wide_product, (x_MKF, weight_KOF))
    torch.testing.assert_close(wide_product(x_MKF, weight_KOF), torch.einsum("mkf,kof->mko", x_MKF, weight_KOF))


def stepped(kind: str, flat: bool, missing: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters after some steps, two lanes going on after the third, and what the optimizer keeps of them."""
    torch.manual_seed(0)
    network = fold([nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 4)).double() for _ in range(LANES)])
    decay_K1, momentum_K1 = torch.tensor([[0.0], [0.1], [0.2]]).double(), torch.tensor([[0.9], [0.5], [0.0]]).double()
    decays = [True, False, True, False]
    if kind in ("sgd", "nesterov", "common"):
        momentum_K1 = torch.full_like(momentum_K1, 0.9) if kind == "common" else momentum_K1
        optimizer = LaneSgd(network, decays, decay_K1, momentum_K1, kind != "sgd", True, flat)
    else:
        optimizer = LaneAdam(
            network, decays, decay_K1, (Adam if kind == "adam" else AdamW)(0.9, 0.99, 1e-8, 0.1, True, True), flat
        )
    lr_K1 = torch.tensor([[0.1], [0.01], [0.2]]).double()
    for step in range(6):
        if step == 3:
            network = select(network, [2, 0])
            optimizer.select(network, torch.tensor([2, 0]))
            lr_K1 = lr_K1[[2, 0]]
        optimizer.zero_grad()
        network(torch.randn(network.lanes * 2, 2, 8, 8).double()).square().sum().backward()
        if missing:
            next(network.parameters()).grad = None
        optimizer.step(lr_K1)
    parameters = list(network.parameters())
    return [parameter.detach() for parameter in parameters], [
        part for parameter in parameters for part in optimizer.state_of(parameter)[0]
    ]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "nesterov", "common", "adam", "adamw"])
def test_all_values_in_one_tensor_are_updated_as_each_by_itself(kind: str, missing: bool):
    torch.testing.assert_close(stepped(kind, True, missing), stepped(kind, False, missing), rtol=1e-12, atol=1e-12)
