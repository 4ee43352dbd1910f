"""ConvNeXt: an independent definition in float64, the place of its norms, its options and what it refuses."""

import pytest
import torch

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build
from bnbench.models.layer_scale import LayerScale
from bnbench.norms import NORMS
from bnbench.spec import Choice
from bnbench.stacking import prove
from tests.models.definitions import assert_learns, assert_same, cut, depthwise, gelu, norm_of_channels, randomized
from tests.products import long

SHAPE, CLASSES = (3, 8, 12), 5
SMALL = {"dim": 4, "depth": 2, "kernel": 3, "patch": 2, "stages": 2}


def make(norm="layer", seed=0, shape=SHAPE, **options):
    return build(Choice.of("convnext", {**SMALL, **options}), NORMS[norm], shape, CLASSES, seed)


def by_hand(state, x, kind, stages, depth=2):
    """The whole network as a function of its numbers: products of patches and weights, and sums of shifted images."""

    def convolved(path, y, convolution=cut):
        z = convolution(state[f"{path}.weight"], y)
        return z + state[f"{path}.bias"].view(-1, 1, 1) if f"{path}.bias" in state else z

    def norm(path, y):
        return norm_of_channels(kind, state.get(f"{path}.weight"), state.get(f"{path}.bias"), y)

    y = norm("norm", convolved("embed", x))
    for stage in range(stages):
        if stage:
            y = convolved(f"halve{stage}", norm(f"norm{stage}", y))
        for number in range(depth):
            path = f"stage{stage}_block{number}.layer"
            z = convolved(f"{path}.expand", norm(f"{path}.norm", convolved(f"{path}.pixels", y, depthwise)))
            z = convolved(f"{path}.contract", gelu(z))
            y = y + state[f"{path}.scale.scale"].view(-1, 1, 1) * z
    return norm("last_norm", y.mean((2, 3))) @ state["head.weight"].T + state["head.bias"]


@pytest.mark.parametrize("norm", ["layer", "rms", "batch", "none"])
@pytest.mark.parametrize(("patch", "kernel", "stages"), [(1, 3, 3), (2, 7, 2), (4, 5, 1)])
def test_network_is_its_definition(patch, kernel, stages, norm):
    """Outputs and gradients, in float64; the largest kernel reaches beyond the image on both sides."""
    network = randomized(make(norm, patch=patch, kernel=kernel, stages=stages))
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(4, *SHAPE, dtype=torch.float64, generator=rng)
    received, expected = network(x), by_hand(dict(network.named_parameters()), x, norm, stages)
    assert_same(network, received, expected, torch.randn(4, CLASSES, dtype=torch.float64, generator=rng))


def test_norms_are_in_each_block_between_stages_and_at_both_ends():
    sizes = [layer.num_features for layer in make("batch").modules() if isinstance(layer, NORMS["batch"])]
    assert sizes == [4, 4, 4, 4, 8, 8, 8]


@pytest.mark.parametrize(("norm", "biased"), [("none", True), ("rms", True), ("layer", False), ("batch", False)])
def test_bias_before_a_norm_only_where_that_neither_shifts_nor_cancels_it(norm, biased):
    network = make(norm)
    for path in ("embed", "stage1_block0.layer.pixels"):
        assert (network.get_submodule(path).bias is not None) == biased
    others = ("halve1", "stage1_block0.layer.expand", "stage1_block0.layer.contract")
    assert all(network.get_submodule(path).bias is not None for path in others)


def test_biases_before_a_norm_that_cancels_them_are_not_trained():
    """Those of the last block of a stage go into the norm behind it, and of other blocks into convolutions as well."""
    frozen = {name for name, parameter in make("batch").named_parameters() if not parameter.requires_grad}
    assert frozen == {f"stage{stage}_block1.layer.contract.bias" for stage in (0, 1)}
    assert all(parameter.requires_grad for parameter in make("rms").parameters())


@pytest.mark.parametrize(("shape", "patch", "stages"), [((1, 8, 8), 1, 4), ((1, 28, 28), 2, 2), ((3, 32, 32), 4, 3)])
def test_shapes(shape, patch, stages):
    assert make(shape=shape, patch=patch, stages=stages)(torch.randn(2, *shape)).shape == (2, CLASSES)


def test_size_of_the_default_network():
    """Two blocks of 32 channels and two of 64, each with 7 x 7 kernels and four times as many hidden channels."""
    with torch.device("meta"):
        network = build(Choice.of("convnext"), NORMS["layer"], (1, 8, 8), 10, 0)
    blocks = [2 * (49 * c + 2 * c + (4 * c * c + 4 * c) + (4 * c * c + c) + c) for c in (32, 64)]
    expected = (4 * 32 + 64) + sum(blocks) + (64 + 4 * 32 * 64 + 64) + 128 + 650
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 102_154


def test_first_numbers():
    """N(0, 0.02^2) for all weights, 1e-6 for the scales, zero for biases."""
    network = make(dim=128, layer_scale=1e-6)
    for path in ("embed", "halve1", "stage0_block1.layer.expand", "head"):
        assert network.get_parameter(f"{path}.weight").std().item() == pytest.approx(0.02, rel=0.06), path
        assert path == "embed" or not network.get_parameter(f"{path}.bias").any()
    scales = [layer.scale for layer in network.modules() if isinstance(layer, LayerScale)]
    assert len(scales) == 4 and all((scale == 1e-6).all() for scale in scales)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "norm",
    [
        "layer",
        "batch",
        "spectral",
        *(pytest.param(norm, marks=long) for norm in ("rms", "group", "ghost", "grn", "dyt", "weight", "ws", "none")),
    ],
)
def test_networks_fold_into_one(norm, wide):
    """Lanes one after another in the batch, as on the CPU, or beside each other in the channels, as on a GPU."""
    assert prove(lambda seed: make(norm, seed), SHAPE, 4, wide=wide) is None


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
def test_norms_with_an_activation_have_no_place(norm):
    with pytest.raises(Impossible, match=r"the norm holds its own activation .* a ConvNeXt has none there"):
        make(norm)


@pytest.mark.parametrize("norm", ["instance", "batch_instance", "switchable"])
def test_norms_of_several_positions_have_no_place_behind_the_pooling(norm):
    with pytest.raises(Impossible, match=r"the last norm of a ConvNeXt is behind the pooling, where an"):
        make(norm)


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(Impossible) as caught:
        make(stages=3)
    assert str(caught.value) == (
        "model.patch=2 model.stages=3 need images whose sides 8 divides, and this one is 8x12: choose fewer stages or "
        "another patch"
    )


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        make(patch=0, dim=0, stages=0, depth=0, kernel=4, layer_scale=0.0)
    assert list(caught.value.problems) == [
        "model.patch=0: must be at least 1",
        "model.dim=0: must be at least 1",
        "model.stages=0: must be at least 1",
        "model.depth=0: must be at least 1",
        "model.kernel=4: must be odd",
        "model.layer_scale=0.0: must be a finite number above 0",
    ]


def test_the_smallest_network_learns():
    """With the norm whose statistics change."""
    assert_learns(make("batch"), SHAPE, CLASSES, 60)
