"""The models of this package: sizes, stages, initial weights and options."""

import math

import pytest
import torch
from torch import nn

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build
from bnbench.models.resnet import BasicBlock, SubsampleAndPad
from bnbench.norms import NORMS, BatchNorm, NoNorm
from bnbench.spec import Choice, stream


def make(model, norm="batch", shape=(3, 32, 32), seed=0, **options):
    return build(Choice.of(model, options), NORMS[norm], shape, 10, seed)


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(
    ("depth", "published", "parameters"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_residual_networks_have_the_published_size(depth, published, parameters):
    """He et al. 2016, table 6, in millions; the exact numbers count weights by hand."""
    with torch.device("meta"):
        network = make(f"resnet{depth}")
    blocks = (depth - 2) // 6
    by_hand = 27 * 16 + 2 * 16 + 640 + 10
    for stage, width in enumerate((16, 32, 64)):
        inputs = 16 if stage == 0 else width // 2
        by_hand += 9 * width * (inputs + (2 * blocks - 1) * width) + 2 * blocks * 2 * width
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand == parameters
    assert round(parameters / 1e6, 2 if published < 1 else 1) == published
    assert len(convolutions(network)) + 1 == depth


def test_shortcut_subsamples_and_pads():
    x = torch.randn(2, 3, 5, 4)
    y = SubsampleAndPad(2)(x)
    assert y.shape == (2, 5, 3, 2)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert not y[:, 3:].any()


@pytest.mark.parametrize("norm", ["batch", "group", "rms"])
def test_zero_init_last_gamma_makes_blocks_identities(norm):
    network = make("resnet20", norm, zero_init_last_gamma=True)
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(network.get_submodule("stage0_block1")(x), x)
    network(torch.randn(2, 3, 8, 8)).sum().backward()


@pytest.mark.parametrize("norm", ["grn", "repbn", "prepbn"])
def test_zero_init_last_gamma_needs_a_norm_that_is_zero_with_its_scale(norm):
    with pytest.raises(Impossible, match="puts out something where its scale is zero"):
        make("resnet20", norm, zero_init_last_gamma=True)


@pytest.mark.parametrize("norm", ["none", "instance"])
def test_zero_init_last_gamma_needs_a_scale(norm):
    with pytest.raises(Impossible, match=r"model\.zero_init_last_gamma=true needs a norm with a scale"):
        make("resnet20", norm, zero_init_last_gamma=True)


@pytest.mark.parametrize(
    ("depth", "stages"),
    [
        (1, [(16, 1)]),
        (2, [(16, 1), (32, 2)]),
        (3, [(16, 1), (32, 2), (64, 2)]),
        (5, [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2)]),
        (6, [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]),
    ],
)
def test_cnn_stages(depth, stages):
    network = make("cnn", depth=depth)
    assert [(layer.out_channels, layer.stride[0]) for layer in convolutions(network)] == stages
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("shape", "depth", "pool", "features"),
    [((1, 8, 8), 3, "none", 64 * 2 * 2), ((1, 28, 28), 3, "none", 64 * 7 * 7), ((3, 9, 5), 3, "none", 64 * 3 * 2),
     ((1, 8, 8), 1, "none", 16 * 8 * 8), ((1, 28, 28), 3, "average", 64)],
)  # fmt: skip
def test_cnn_head(shape, depth, pool, features):
    network = make("cnn", shape=shape, depth=depth, pool=pool)
    assert network.get_submodule("head").in_features == features
    assert network(torch.randn(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("options", [{"placement": "after"}, {"activation": "none"}])
@pytest.mark.parametrize(("norm", "choice"), [("instance", "another norm"), ("group", "fewer groups")])
def test_pooling_sees_nothing_behind_a_norm_of_each_channel_of_an_image(norm, choice, options):
    def one_channel_each(channels):
        return NORMS[norm](channels, **({"groups": channels} if norm == "group" else {}))

    network = build(Choice.of("cnn", options), one_channel_each, (1, 8, 8), 10, 0)  # the head sees every pixel
    assert not torch.equal(*network(torch.randn(2, 1, 8, 8)))
    with pytest.raises(Impossible, match=rf"sees nothing else: choose model\.pool=none, or {choice}"):
        build(Choice.of("cnn", options | {"pool": "average"}), one_channel_each, (1, 8, 8), 10, 0)
    with_relu = build(Choice.of("cnn", {"pool": "average"}), one_channel_each, (1, 8, 8), 10, 0)
    assert not torch.equal(*with_relu(torch.randn(2, 1, 8, 8)))


def test_mlp_layers():
    network = make("mlp", "none", shape=(1, 8, 8), depth=2, width=7)
    assert [tuple(p.shape) for p in network.parameters()] == [(7, 64), (7,), (7, 7), (7,), (10, 7), (10,)]


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_placement(model, placement):
    unit = make(model, placement=placement, activation="tanh").get_submodule("layer1")
    kinds = [type(part) for part in unit][1:]
    assert kinds == ([BatchNorm, nn.Tanh] if placement == "before" else [nn.Tanh, BatchNorm])


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_norm_that_holds_its_activation_has_none_behind_it(model, norm):
    unit = make(model, norm).get_submodule("layer1")
    assert unit.norm.activates and isinstance(unit.activation, nn.Identity)
    linear = make(model, norm, activation="none", placement="after").get_submodule("layer1")
    assert not linear.norm.activates and isinstance(linear.activation, nn.Identity)


@pytest.mark.parametrize("options", [{"placement": "after"}, {"activation": "sigmoid"}, {"activation": "gelu"}])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_norm_that_holds_its_activation_has_its_place(model, options):
    with pytest.raises(Impossible, match=r"the norm holds its own activation .* choose model\.placement=before"):
        make(model, "frn", **options)
    make(model, "batch", **options)


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
def test_residual_blocks_end_without_the_activation_of_a_norm(norm):
    network = make("resnet20", norm)
    assert network.get_submodule("norm").activates and isinstance(network.get_submodule("relu"), nn.Identity)
    for block in (layer for layer in network if isinstance(layer, BasicBlock)):
        assert block.norm1.activates and isinstance(block.relu1, nn.Identity)
        assert not block.norm2.activates and isinstance(block.relu2, nn.ReLU)
    plain = make("resnet20", "batch").get_submodule("stage0_block0")
    assert isinstance(plain.relu1, nn.ReLU)


@pytest.mark.parametrize(
    ("bias", "norm", "placement", "biased"),
    [
        ("auto", "batch", "before", False),
        ("auto", "none", "before", True),
        ("auto", "rms", "before", True),
        ("auto", "batch", "after", True),
        ("always", "batch", "before", True),
        ("never", "none", "before", False),
    ],
)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_bias(model, bias, norm, placement, biased):
    layer = next(make(model, norm, bias=bias, placement=placement).get_submodule("layer0").children())
    assert (layer.bias is not None) == biased
    assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
        ("gelu", nn.functional.gelu),
        ("none", lambda x: x),
    ],
)
def test_activation(activation, function):
    x = torch.randn(4)
    assert torch.equal(make("mlp", activation=activation).get_submodule("layer0.activation")(x), function(x))


@pytest.mark.parametrize(
    ("init", "deviation", "last"),
    [
        ("he", math.sqrt(2 / 300), math.sqrt(1 / 300)),
        ("xavier", math.sqrt(2 / 600), math.sqrt(2 / 310)),
        ("normal", 0.25, 0.25),
    ],
)
def test_initial_weights(init, deviation, last):
    network = make("mlp", init=init, init_std=0.25, width=300)
    weight, head = network.get_parameter("layer1.linear.weight"), network.get_parameter("head.weight")
    assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert head.std().item() == pytest.approx(last, rel=0.05)
    assert not network.get_parameter("head.bias").any()
    bounded = weight.abs().max().item() < 2 * deviation
    assert bounded == (init == "xavier")


def test_weights_depend_on_seed_and_path_only():
    weight = make("cnn", seed=5).get_parameter("layer1.conv.weight")
    generator = torch.Generator().manual_seed(stream(5, "init", "layer1.conv"))
    expected = torch.empty(32, 16, 3, 3).normal_(0, math.sqrt(2 / 144), generator=generator)
    assert torch.equal(weight, expected)
    deeper = make("mlp", depth=5).get_parameter("layer1.linear.weight")
    assert torch.equal(deeper, make("mlp", depth=3).get_parameter("layer1.linear.weight"))


def test_data_touches_leaves_only():
    """Networks can be rewritten leaf by leaf: nothing else holds parameters, and parts can be cut out."""
    for model in ("mlp", "cnn", "resnet20"):
        network = make(model)
        owners = {path.rpartition(".")[0] for path, _ in network.named_parameters()}
        assert all(not list(network.get_submodule(path).children()) for path in owners)
        network[:1](torch.randn(2, 3, 32, 32))


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        make("cnn", depth=0, width=0, init_std=0.0, activation="rleu", init="hee", placement="middle", bias="sometimes")
    assert len(caught.value.problems) == 7
    assert "model.activation=rleu: did you mean 'relu'?" in str(caught.value)
    with pytest.raises(InvalidRequest, match=r"model\.width=0: must be at least 1"):
        make("resnet20", width=0)


def test_groups_that_do_not_divide_a_layer():
    def norm(channels):
        return NORMS["group"](channels, groups=12)

    with pytest.raises(Impossible, match=r"norm\.groups=12 .* 16: choose one of 1, 2, 4, 8, 16"):
        build(Choice.of("cnn"), norm, (1, 8, 8), 10, 0)


def test_nothing_is_left_of_the_norm_in_the_plain_network():
    network = make("resnet20", "none")
    assert sum(isinstance(layer, NoNorm) for layer in network.modules()) == 19
    assert not list(network.buffers())
