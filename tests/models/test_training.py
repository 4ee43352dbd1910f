"""Which parameters are trained."""

import pytest
import torch
from torch import nn

from bnbench.components import components
from bnbench.engines import train
from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import MODELS, build
from bnbench.norms import NORMS
from bnbench.norms.common.affine import AffineNorm
from bnbench.spec import Choice
from tests.conftest import load_data, make_spec


def make(model="mlp", norm="batch", train="affine", **options):
    return build(Choice.of(model, options), NORMS[norm], (1, 16, 16), 5, 0, MODELS, train)


def trained(network):
    return {path for path, parameter in network.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet20", "torchvision"])
@pytest.mark.parametrize("norm", ["batch", "layer", "rms", "ws"])
def test_scales_and_shifts_only(model, norm):
    network = make(model, norm)
    expected = {
        f"{path}.{name}"
        for path, layer in network.named_modules()
        if isinstance(layer, AffineNorm)
        for name, _ in layer.named_parameters()
    }
    assert trained(network) == expected


@pytest.mark.parametrize(("model", "classifier"), [("mlp", "head"), ("resnet20", "head"), ("torchvision", "fc")])
def test_the_classifier_as_well(model, classifier):
    added = trained(make(model, train="affine_and_classifier")) - trained(make(model))
    assert added == {f"{classifier}.weight", f"{classifier}.bias"}


def test_a_norm_of_the_weights_has_its_gains():
    gains = {"layer0.linear.gain", "layer1.linear.gain", "layer2.linear.gain"}
    assert trained(make(norm="scaled_ws")) == gains
    assert trained(make(norm="weight")) == gains | {"head.gain"}


def test_fixup_has_its_scalars():
    network = make("resnet20", "fixup")
    assert all(parameter.shape == (1,) for parameter in network.parameters() if parameter.requires_grad)
    assert len(trained(network)) == 19 + 9 + 19  # before the layers but the first, scales, shifts behind convolutions


@pytest.mark.parametrize("norm", ["none", "instance", "spectral"])
def test_a_norm_without_parameters_is_refused(norm):
    with pytest.raises(Impossible, match="train=affine needs a norm with parameters, and this one has none"):
        make("cnn", norm)


def test_without_a_norm_the_classifier_is_trained_alone():
    assert trained(make("cnn", "none", train="affine_and_classifier")) == {"head.weight", "head.bias"}


def test_a_name_that_is_none_of_them():
    with pytest.raises(InvalidRequest, match="train=affin: did you mean 'affine'"):
        make(train="affin")


@pytest.mark.parametrize("norm", ["batch", "weight"])
def test_the_rest_stays_where_it_was(norm):
    spec = make_spec(
        "model=mlp", "model.width=16", "epochs=1", f"norm={norm}", "train=affine", "optim.weight_decay=0.1"
    )
    data = load_data(spec)
    network, start = components().build(spec, data), components().build(spec, data)
    list(train(spec, network, data))
    for path, parameter in network.named_parameters():
        assert torch.equal(parameter, start.get_parameter(path)) != (path in trained(start))


def test_initial_weights_are_those_of_the_whole_network():
    some, whole = make("cnn"), make("cnn", train="all")
    assert all(torch.equal(one, other) for one, other in zip(some.parameters(), whole.parameters(), strict=True))
    assert all(layer.weight.requires_grad for layer in whole.modules() if isinstance(layer, nn.Conv2d))
