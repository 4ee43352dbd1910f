"""torchvision's classifiers: initial weights, replaced norms, first convolutions, refusals."""

from functools import partial

import pytest
import torch
import torchvision
from torch import nn

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build
from bnbench.models.replacement import LastAxisNorm
from bnbench.models.torchvision_classifier import torchvision_classifier
from bnbench.norms import NORMS, BatchNorm, LayerNorm, activates
from bnbench.spec import Choice, stream
from tests.norms.refusals import is_expected
from tests.products import long, products, whole

SMALL = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "regnet_y_400mf"]
LARGE = ["vgg11_bn", "convnext_tiny", "vit_b_16", "swin_t", "regnet_x_400mf"]
WITHOUT_TAKEOVER = ["resnet18", "convnext_tiny", "vit_b_16", "swin_t"]
"""Networks with one ReLU in several places, or without any activation right behind a norm."""
WITHOUT = ["alexnet", "vgg11", "squeezenet1_0"]


def make(name, norm="batch", shape=(3, 32, 32), **options):
    return build(Choice.of("torchvision", {"name": name, **options}), NORMS[norm], shape, 10, 0)


def planned(name, norm="batch", shape=(3, 64, 64), **options):
    with torch.device("meta"):
        return make(name, norm, shape, **options)


ON_WEIGHTS = ["ws", "scaled_ws", "weight", "spectral"]
ATTENTION = ["vit_b_16", "swin_t"]


@pytest.mark.parametrize("norm", ON_WEIGHTS)
@pytest.mark.parametrize("name", ATTENTION)
def test_weights_that_attention_reads_are_refused(name, norm):
    with pytest.raises(Impossible, match=rf"model\.name={name} has attention that reads weights past their layers"):
        planned(name, norm)


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg11_bn", "convnext_tiny"])
def test_fixup_is_for_residual_branches_that_are_known(name):
    with pytest.raises(Impossible, match="norm=fixup is for residual networks"):
        planned(name, "fixup")


REPEATED = {"noisy_batch": "batch", "spectral": "ws"}
"""Norms that are put in the same places in the same way as another: large networks are tried with that one."""


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        pytest.param(name, norm, marks=whole if name in LARGE and norm in REPEATED else pair.marks)
        for pair in products(SMALL + LARGE, deep=("batch", "ws", "evonorm_b0", "fixup"))
        for name, norm in [pair.values]
        if not (name in ATTENTION and norm in ON_WEIGHTS) and (norm != "fixup" or name == "resnet18")
    ],
)
def test_norms_are_replaced_and_a_step_works_or_is_refused(name, norm):
    small = name in SMALL
    try:
        network = make(name, norm) if small else planned(name, norm)
    except Impossible as reason:
        assert is_expected(norm, str(reason)) and name in WITHOUT_TAKEOVER
        return
    assert not activates(NORMS[norm]) or name not in WITHOUT_TAKEOVER
    kinds = {type(layer) for layer in network.modules()}
    assert NORMS[norm] in kinds
    assert not any(issubclass(kind, nn.modules.batchnorm._BatchNorm | nn.LayerNorm) for kind in kinds)
    try:
        y = network(torch.randn(2, 3, 32, 32) if small else torch.empty(2, 3, 64, 64, device="meta"))
    except Impossible as reason:
        assert is_expected(norm, str(reason))
        return
    y.sum().backward()
    assert y.shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_batch_norm_in_place_of_torchvisions_own_changes_nothing(name):
    network = make(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(0, "init"))
        original = torchvision.models.get_model(name, weights=None, num_classes=10)
    original.load_state_dict(network.state_dict(), strict=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(0, "init"))
        fresh = torchvision.models.get_model(name, weights=None, num_classes=10)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), network.parameters(), strict=True))
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(network.eval()(x), original.eval()(x))


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish)


@pytest.mark.parametrize(
    ("name", "left"),
    [("mobilenet_v2", 0), ("vgg11_bn", 2), ("mnasnet0_5", 0), ("efficientnet_b0", 16), ("regnet_y_400mf", 32)],
)
def test_norms_take_over_the_activations_right_behind_them(name, left):
    """What is left: the classifier's of VGG, those of squeeze-and-excitation, and those after RegNet's additions."""
    network, original = planned(name, "evonorm_b0"), planned(name, "batch")
    before = [type(layer) for layer in original.modules() if isinstance(layer, ACTIVATIONS)]
    after = [type(layer) for layer in network.modules() if isinstance(layer, ACTIVATIONS)]
    held = [layer.activates for layer in network.modules() if isinstance(layer, NORMS["evonorm_b0"])]
    assert len(after) == left
    assert sum(held) == len(before) - left > 0
    assert len(held) == sum(isinstance(layer, BatchNorm) for layer in original.modules())


def test_a_norm_before_an_addition_is_left_without_its_activation():
    network = planned("mobilenet_v2", "frn")
    block = network.get_submodule("features.3.conv")
    assert [type(layer).__name__ for layer in block[0]] == ["Conv2d", "FilterResponseNorm", "Identity"]
    assert block[0][1].activates and block[1][1].activates
    assert not block[3].activates and block[3].tau is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet18", r"the one behind bn1|the one behind layer1\.0\.bn1 is also used elsewhere"),
        ("densenet121", "is also used elsewhere, or is no layer of its own"),
        ("vit_b_16", "none of them is right behind a norm"),
    ],
)
def test_activations_that_cannot_be_taken_over(name, reason):
    message = f"model.name={name}: the norm holds its own activation .*({reason}).*choose a model"
    with pytest.raises(Impossible, match=message):
        planned(name, "evonorm_s0")


@pytest.mark.parametrize(("name", "eps"), [("swin_t", 1e-5), pytest.param("vit_b_32", 1e-6, marks=long)])
def test_layer_norm_changes_nothing_in_a_transformer(name, eps):
    torch.manual_seed(0)
    original = torchvision.models.get_model(name, **({"image_size": 64} if name == "vit_b_32" else {})).eval()
    torch.manual_seed(0)
    replaced = torchvision_classifier(partial(LayerNorm, eps=eps), (3, 64, 64), 1000, name=name).eval()
    with torch.no_grad():
        last, ours = (list(network.parameters())[-2:] for network in (original, replaced))
        for one, other in zip(last, ours, strict=True):  # zeros at the start in a ViT
            other.copy_(one.normal_())
        x = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(replaced(x), original(x), rtol=1e-4, atol=1e-4)


def test_instance_norm_leaves_nothing_for_the_classifier_of_swin():
    with pytest.raises(Impossible, match="makes the mean of an example's pixels the same for every image"):
        planned("swin_t", "instance")


def test_layer_norm_on_tokens_changes_nothing():
    torch.manual_seed(0)
    x, original = torch.randn(2, 7, 8), nn.LayerNorm(8)
    replaced = LastAxisNorm(LayerNorm(8, over="channels"))
    torch.testing.assert_close(replaced(x), original(x))
    assert replaced(x).is_contiguous()


@pytest.mark.parametrize("norm", ["none", "rms"])
def test_convolutions_get_a_zero_bias_where_the_norm_does_not_shift(norm):
    layers = [layer for layer in make("resnet18", norm).modules() if isinstance(layer, nn.Conv2d)]
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)


def test_convolutions_get_no_bias_where_the_norm_cancels_it():
    layers = [layer for layer in make("resnet18", "instance").modules() if isinstance(layer, nn.Conv2d)]
    assert layers and all(layer.bias is None for layer in layers)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels(channels):
    network, rgb = make("resnet18", shape=(channels, 32, 32)).eval(), make("resnet18").eval()
    x = torch.randn(2, 1, 32, 32)
    assert network(x.expand(2, channels, 32, 32)).shape == (2, 10)
    if channels == 1:
        torch.testing.assert_close(network(x), rgb(x.expand(2, 3, 32, 32)), rtol=1e-4, atol=1e-4)


def test_small_image_stem():
    network = make("resnet18", small_image_stem=True, shape=(1, 32, 32))
    assert isinstance(network.maxpool, nn.Identity)
    assert network.conv1.weight.shape == (64, 1, 3, 3)
    features = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)(torch.randn(2, 1, 32, 32))
    assert features.shape == (2, 64, 32, 32)
    assert network(torch.randn(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_zero_init_last_gamma(name, last):
    network = make(name, zero_init_last_gamma=True)
    norms = {path: layer for path, layer in network.named_modules() if isinstance(layer, BatchNorm)}
    zeros = {path for path, layer in norms.items() if not layer.weight.any()}
    assert zeros == {path for path in norms if path.endswith(last)}


@pytest.mark.parametrize("option", ["small_image_stem", "zero_init_last_gamma"])
def test_options_of_the_resnet_family_only(option):
    with pytest.raises(Impossible, match=rf"model\.{option}=true is for the ResNet family .* model\.name=mobilenet_v2"):
        planned("mobilenet_v2", **{option: True})


def test_zero_init_last_gamma_needs_a_scale():
    with pytest.raises(Impossible, match="needs a norm with a scale"):
        planned("resnet18", "none", zero_init_last_gamma=True)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", WITHOUT)
def test_networks_without_norms(name, norm):
    if norm == "none":
        assert planned(name, norm)(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 10)
        return
    with pytest.raises(Impossible, match=rf"model\.name={name} has no normalization layers to replace"):
        planned(name, norm)


def test_unknown_name():
    with pytest.raises(InvalidRequest, match=r"model\.name=resnet19: did you mean 'resnet18'\?"):
        make("resnet19")


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("vit_b_16", (3, 28, 28), "cannot take images of 28x28: Input shape indivisible by patch size; choose"),
        ("vit_b_16", (3, 32, 64), "needs square images; these are 32x64"),
        ("maxvit_t", (3, 32, 32), "cannot take images of 32x32"),
    ],
)
def test_images_that_a_network_cannot_take(name, shape, reason):
    with pytest.raises(Impossible, match=reason):
        planned(name, shape=shape)


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_no_auxiliary_outputs(name):
    network = planned(name, shape=(1, 299, 299))
    assert network(torch.empty(2, 1, 299, 299, device="meta")).shape == (2, 10)
