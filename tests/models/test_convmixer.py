"""ConvMixer: an independent definition in float64, the place of its norms, its options and what it refuses."""

import pytest
import torch
from torch import nn

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build
from bnbench.norms import NORMS
from bnbench.spec import Choice
from bnbench.stacking import prove
from tests.models.definitions import assert_learns, assert_same, cut, depthwise, gelu, norm_of_channels, randomized
from tests.products import long

SHAPE, CLASSES = (3, 8, 12), 5
SMALL = {"dim": 8, "depth": 2, "kernel": 3, "patch": 2}


def make(norm="layer", seed=0, shape=SHAPE, **options):
    return build(Choice.of("convmixer", {**SMALL, **options}), NORMS[norm], shape, CLASSES, seed)


def by_hand(state, x, kind, depth=2):
    """The whole network as a function of its numbers: products of patches and weights, and sums of shifted images."""

    def behind(path, convolved):
        """A bias, a GELU and a norm."""
        y = gelu(convolved + state[f"{path}.conv.bias"].view(-1, 1, 1))
        return norm_of_channels(kind, state.get(f"{path}.norm.weight"), state.get(f"{path}.norm.bias"), y)

    y = behind("embed", cut(state["embed.conv.weight"], x))
    for block in range(depth):
        path = f"block{block}.pixels.layer"
        y = y + behind(path, depthwise(state[f"{path}.conv.weight"], y))
        path = f"block{block}.channels"
        y = behind(path, cut(state[f"{path}.conv.weight"], y))
    return y.mean((2, 3)) @ state["head.weight"].T + state["head.bias"]


@pytest.mark.parametrize("norm", ["layer", "rms", "batch", "none"])
@pytest.mark.parametrize(("patch", "kernel"), [(1, 5), (2, 3), (4, 7)])
def test_network_is_its_definition(patch, kernel, norm):
    """Outputs and gradients, in float64; the largest kernel reaches beyond the image on both sides."""
    network = make(norm, patch=patch, kernel=kernel)
    assert all(parameter.requires_grad for parameter in network.parameters())
    randomized(network)
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(4, *SHAPE, dtype=torch.float64, generator=rng)
    received, expected = network(x), by_hand(dict(network.named_parameters()), x, norm)
    assert_same(network, received, expected, torch.randn(4, CLASSES, dtype=torch.float64, generator=rng))


def test_one_norm_behind_each_activation():
    """One of the patches and two in each block, all of the same number of channels."""
    network = make("batch")
    for path in ("embed", "block1.pixels.layer", "block1.channels"):
        assert [name for name, _ in network.get_submodule(path).named_children()] == ["conv", "activation", "norm"]
    norms = [layer for layer in network.modules() if isinstance(layer, NORMS["batch"])]
    assert len(norms) == 5 and all(norm.num_features == 8 for norm in norms)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "rms", "ws", "weight"])
def test_every_convolution_has_a_bias_that_is_trained(norm):
    convolutions = [layer for layer in make(norm).modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 5
    assert all(layer.bias is not None and layer.bias.requires_grad for layer in convolutions)


@pytest.mark.parametrize(("shape", "patch"), [((1, 8, 8), 1), ((1, 8, 8), 8), ((1, 28, 28), 4), ((3, 32, 32), 2)])
def test_shapes(shape, patch):
    assert make(shape=shape, patch=patch)(torch.randn(2, *shape)).shape == (2, CLASSES)


def test_size_of_the_default_network():
    """A block has 64 kernels of 3 x 3, a matrix of 64 x 64, two biases and two norms; counted by hand."""
    with torch.device("meta"):
        network = build(Choice.of("convmixer"), NORMS["batch"], (1, 8, 8), 10, 0)
    block = (64 * 9 + 64 + 128) + (64 * 64 + 64 + 128)
    expected = (4 * 64 + 64 + 128) + 4 * block + 650
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 21_322


def test_first_weights():
    """N(0, 2 / fan_in), where a depthwise kernel has one channel; N(0, 1 / fan_in) for the classifier."""
    network = make(dim=512, kernel=5)
    for path, variance in (
        ("embed.conv", 2 / 12),
        ("block0.pixels.layer.conv", 2 / 25),
        ("block0.channels.conv", 2 / 512),
        ("head", 1 / 512),
    ):
        assert network.get_parameter(f"{path}.weight").std().item() == pytest.approx(variance**0.5, rel=0.05), path


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "norm",
    [
        "layer",
        "batch",
        "ws",
        "spectral",
        *(
            pytest.param(norm, marks=long)
            for norm in ("rms", "group", "ghost", "grn", "dyt", "weight", "scaled_ws", "none")
        ),
    ],
)
def test_networks_fold_into_one(norm, wide):
    """Lanes one after another in the batch, as on the CPU, or beside each other in the channels, as on a GPU."""
    assert prove(lambda seed: make(norm, seed), SHAPE, 4, wide=wide) is None


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
def test_norms_with_an_activation_have_no_place(norm):
    with pytest.raises(Impossible, match=r"the norm holds its own activation .* a ConvMixer has none there"):
        make(norm)


def groups_of_one_channel(kind, **options):
    return lambda channels: NORMS[kind](channels, groups=8, **options)


@pytest.mark.parametrize(
    ("norm", "setting", "choice"),
    [
        (NORMS["instance"], "norm=instance", "another norm, e.g. norm=group"),
        (groups_of_one_channel("group"), "norm.groups=8", "fewer groups"),
        (groups_of_one_channel("ws"), "norm.groups=8", "fewer groups"),
    ],
)
def test_the_mean_of_what_has_mean_zero_is_refused(norm, setting, choice):
    """Else the output would be the same for every image."""
    with pytest.raises(Impossible) as caught:
        build(Choice.of("convmixer", SMALL), norm, SHAPE, CLASSES, 0)
    assert str(caught.value) == (
        f"{setting} makes the mean of an example's pixels the same for every image, and the classifier sees nothing "
        f"else: choose {choice}"
    )


def test_batch_statistics_beside_standardized_weights_are_not_refused():
    network = build(Choice.of("convmixer", SMALL), groups_of_one_channel("ws", statistics="batch"), SHAPE, CLASSES, 0)
    y = network(torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0)))
    assert (y[0] - y[1]).abs().max() > 0.01


def test_a_patch_that_does_not_divide_the_image_is_refused():
    with pytest.raises(Impossible) as caught:
        make(patch=3)
    assert str(caught.value) == "model.patch=3 must divide the image, which is 8x12: choose one of 1, 2, 4"


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        make(patch=0, dim=0, depth=0, kernel=4)
    assert list(caught.value.problems) == [
        "model.patch=0: must be at least 1",
        "model.dim=0: must be at least 1",
        "model.depth=0: must be at least 1",
        "model.kernel=4: must be odd",
    ]
    with pytest.raises(InvalidRequest, match=r"model\.kernel=257: must be at most 255"):
        make(kernel=257)
    with pytest.raises(InvalidRequest, match=r"model\.kernel=-1: must be at least 1"):
        make(kernel=-1)


def test_the_smallest_network_learns():
    """With the norm whose statistics change."""
    assert_learns(make("batch"), SHAPE, CLASSES, 30)
