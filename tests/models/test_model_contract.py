"""What holds for every model that is listed, with every norm that is listed."""

import inspect
from functools import partial
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
import yaml
from torch import nn

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import MODELS, build, build_lanes
from bnbench.models.information import OVER_POSITIONS
from bnbench.norms import NORMS, NoNorm, activates
from bnbench.spec import Choice
from tests.norms.refusals import is_expected
from tests.products import BETWEEN, is_tried, products, whole

CONF = Path(__file__).parents[2] / "conf" / "model"
SHAPE, CLASSES = (1, 16, 16), 5
SHAPES = {"gpt": (CLASSES, 1, 16)}
"""Examples of models that take no images."""
LABELS = {"gpt": torch.arange(32).view(2, 16) % CLASSES}
every_model = pytest.mark.parametrize("model", MODELS)
WITHOUT_BRANCHES = [(model, "fixup") for model in ("mlp", "cnn", "vit", "convmixer", "convnext", "gpt")]
APART = ("vit", "convmixer", "gpt", "convnext")
"""Models in which a sum or an activation stands between layers and norms."""
FEW = ("batch", "spectral", "evonorm_b0", "fixup")
"""Norms with which deep networks are tried by ``make test``."""
every_pair = pytest.mark.parametrize(
    ("model", "norm"), [pair for pair in products(MODELS, deep=FEW) if pair.values not in WITHOUT_BRANCHES]
)


class RandomNorm(nn.Module):
    """A norm that draws numbers when it is made."""

    def __init__(self, num_features):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(num_features, 1, 1))

    def forward(self, x):
        return x * (self.scale if x.dim() == 4 else self.scale.flatten())


def make(model, norm=NoNorm, seed=0, **options):
    return build(Choice.of(model, options), norm, shape_of(model), CLASSES, seed)


def shape_of(model):
    return SHAPES.get(model, SHAPE)


def outputs_of(model):
    """The shape of the logits of two examples."""
    return (2, CLASSES, *LABELS[model].shape[1:]) if model in LABELS else (2, CLASSES)


def layers(network):
    return {path: layer for path, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def test_files_and_registry_name_the_same_models():
    assert {path.stem for path in CONF.glob("*.yaml")} == set(MODELS)


@every_model
def test_signature_is_the_file(model):
    *places, _ = parameters = list(inspect.signature(MODELS[model]).parameters.values())
    options = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    assert [place.name for place in places][:3] == ["norm", "shape", "classes"]
    assert len(options) == len(parameters) - 3
    assert {option.name: option.default for option in options} == yaml.safe_load((CONF / f"{model}.yaml").read_text())
    assert {option.name for option in options} <= set(get_type_hints(MODELS[model]))


@every_pair
def test_one_step_or_a_reason(model, norm):
    x, y = torch.randn(2, *shape_of(model)), LABELS.get(model, torch.tensor([0, 3]))
    try:
        network = make(model, NORMS[norm])
        loss = nn.functional.cross_entropy(network(x), y)
    except Impossible as reason:
        assert is_expected(norm, str(reason))
        return
    loss.backward()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trained and all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)
    torch.optim.SGD(network.parameters(), 1e-3).step()
    assert network.eval()(x).shape == outputs_of(model)


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        pytest.param(*pair.values, marks=whole if pair.values[0] == "resnet110" else pair.marks)
        for pair in products(MODELS)
        if pair.values not in WITHOUT_BRANCHES
    ],
)
def test_meta_network_has_the_same_parts(model, norm):
    """Depth has no part in it: the longest ResNet is for ``--whole``."""
    with torch.device("meta"):
        try:
            planned = make(model, NORMS[norm])
        except Impossible as reason:
            assert is_expected(norm, str(reason))
            return
        try:
            assert planned(torch.empty(2, *shape_of(model))).shape == outputs_of(model)
        except Impossible as reason:
            assert is_expected(norm, str(reason))
    assert all(parameter.is_meta for parameter in planned.parameters())
    if model in ("cnn", "torchvision"):
        real = make(model, NORMS[norm])
        assert shapes(planned) == shapes(real)


def shapes(network):
    return {key: value.shape for key, value in network.state_dict().items()}


@pytest.mark.parametrize("model", [pytest.param(model, marks=whole if model in BETWEEN else ()) for model in MODELS])
def test_norms_share_initial_weights(model, request):
    reference, every = layers(make(model)), model == "resnet20" or request.config.getoption("--whole")
    norms = [(name, norm) for name, norm in NORMS.items() if every or is_tried(model, name)]
    for name, norm in [*norms, ("random", RandomNorm)]:
        without_place = activates(norm) or (name == "instance" and model in APART)
        without_place |= model == "convnext" and norm is not RandomNorm and not norm.facts.vectors
        without_place |= model == "gpt" and issubclass(norm, OVER_POSITIONS)
        if name == "fixup" or (model in ("torchvision", *APART) and without_place):
            continue
        other = layers(make(model, norm))
        assert list(other) == list(reference)
        assert all(torch.equal(layer.weight, reference[path].weight) for path, layer in other.items())
        for path, layer in other.items():
            if layer.bias is not None and reference[path].bias is not None:
                assert torch.equal(layer.bias, reference[path].bias)


@every_pair
def test_networks_of_several_seeds_are_those_of_each(model, norm):
    """One by one or together, with the weights that are trained and all that layers keep."""
    parts = Choice.of(model, {}), partial(NORMS[norm]), shape_of(model), CLASSES
    try:
        together = build_lanes(*parts, [3, 0, 5], train="affine_and_classifier")
    except Impossible as error:
        assert is_expected(norm, str(error))
        return
    for seed, network in zip((3, 0, 5), together, strict=True):
        alone = build(*parts, seed, train="affine_and_classifier")
        assert str(network) == str(alone)
        for (name, one), (other_name, other) in zip(tensors(network), tensors(alone), strict=True):
            assert name == other_name and torch.equal(one, other) and one.requires_grad == other.requires_grad, name


def tensors(network):
    return [*network.named_parameters(), *network.named_buffers()]


@every_model
def test_seed_decides_and_global_random_state_stays(model):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = make(model, RandomNorm)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(8)
    again, other = make(model, RandomNorm), make(model, RandomNorm, seed=1)
    state = first.state_dict()
    assert all(torch.equal(state[key], value) for key, value in again.state_dict().items())
    assert not any(torch.equal(layer.weight, layers(other)[path].weight) for path, layer in layers(first).items())


@pytest.mark.parametrize("model", [model for model in MODELS if model not in APART])
def test_bias_only_where_the_norm_does_not_shift(model):
    """Adding a constant to a layer that a shifting norm follows is adding one to the norm's bias."""
    with torch.device("meta"):
        shifting, plain = make(model, NORMS["batch"]), make(model)
    assert all(layer.bias is not None for layer in layers(plain).values())
    assert [path for path, layer in layers(shifting).items() if layer.bias is not None] == [list(layers(plain))[-1]]


def test_unknown_model():
    with pytest.raises(InvalidRequest, match=r"model=resent20: did you mean 'resnet20'\? Allowed: cnn, convmixer, "):
        make("resent20")


def test_plugin_model_is_seeded_and_its_norms_are_apart():
    def plugin(norm, shape, classes):
        return nn.Sequential(nn.Conv2d(shape[0], 4, 3), norm(4), nn.Flatten(), nn.LazyLinear(classes))

    networks = []
    for norm in (NoNorm, RandomNorm, RandomNorm):
        torch.manual_seed(len(networks))
        before = torch.get_rng_state()
        networks.append(build(Choice.of("mine"), norm, SHAPE, CLASSES, 3, {"mine": plugin}))
        assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(network[0].weight, networks[0][0].weight) for network in networks)
    assert torch.equal(networks[1][1].scale, networks[2][1].scale)


def test_norms_of_one_network_draw_different_numbers():
    scales = [layer.scale for layer in make("mlp", RandomNorm).modules() if isinstance(layer, RandomNorm)]
    assert not torch.equal(scales[0], scales[1])
