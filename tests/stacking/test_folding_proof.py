"""What can be proved to fold, and what must not be."""

from functools import partial

import pytest
import torch
from torch import nn
from torchvision import models as torchvision_models

from bnbench.models import build
from bnbench.norms import NORMS
from bnbench.spec import Choice
from bnbench.stacking import prove
from tests.norms.refusals import is_expected
from tests.products import long, products, whole

SMALL = {"mlp": {"width": 12}, "cnn": {"width": 4}, "resnet20": {"width": 4}}


def ours(model: str, norm: str, seed: int, **options) -> nn.Module:
    return build(Choice(model, SMALL[model]), partial(NORMS[norm], **options), (2, 9, 9), 5, seed)


@pytest.mark.parametrize(("model", "norm"), products(SMALL))
def test_every_norm_in_every_model_is_proved(model, norm):
    reason = prove(lambda seed: ours(model, norm, seed), (2, 9, 9), 5)
    refused = (model == "mlp" and not NORMS[norm].facts.vectors) or (model in ("mlp", "cnn") and norm == "fixup")
    assert is_expected(norm, str(reason)) if refused else reason is None


def from_torchvision(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = torchvision_models.get_model(name, weights=None, num_classes=10)
    if name in ("vgg11_bn", "alexnet"):  # 100 million weights of linear layers prove nothing that a thousand do not
        channels = 512 * 49 if name == "vgg11_bn" else 256 * 36
        network.classifier = nn.Sequential(nn.Linear(channels, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 10))
    return network


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        pytest.param("alexnet", marks=long),
        pytest.param("regnet_y_400mf", marks=long),
        pytest.param("efficientnet_b0", marks=long),
        pytest.param("squeezenet1_1", marks=long),
        pytest.param("mobilenet_v2", marks=whole),
        pytest.param("densenet121", marks=whole),
        pytest.param("resnet18", marks=whole),
        pytest.param("resnext50_32x4d", marks=whole),
        pytest.param("vgg11_bn", marks=whole),
    ],
)
def test_torchvision_networks_are_proved(name):
    assert prove(partial(from_torchvision, name), (3, 64, 64), 2) is None


def test_tensors_outside_of_layers_are_named():
    reason = prove(partial(from_torchvision, "convnext_tiny"), (3, 64, 64), 2)
    assert reason is not None and reason.startswith("features.1.0") and "layer_scale" in reason


class Faulty(nn.Module):
    """Mixes examples at evaluation or in training only, or is right but for its gradient or its buffer."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        if self.fault == ("training" if self.training else "evaluation"):
            y = y + y.mean(0, keepdim=True)
        if self.fault == "gradient":
            mean = y.mean(0, keepdim=True)
            y = y + mean - mean.detach()
        if self.fault == "buffer" and self.training:
            self.norm.running_mean.data.add_(x.mean())
        return self.head(y)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("none", None),
        ("training", "training: output"),
        ("evaluation", "evaluation: output"),
        ("gradient", "training: gradient of norm."),
        ("buffer", "training: buffer norm.running_mean"),
    ],
)
def test_the_proof_sees_each_kind_of_difference(fault, reason):
    found = prove(lambda _: Faulty(fault), (2, 4, 4), 3)
    assert found is None if reason is None else found is not None and found.startswith(reason)


def test_a_network_that_raises_is_not_proved():
    assert prove(lambda _: nn.Linear(7, 3), (2, 4, 4), 3) is not None


def test_the_proof_leaves_the_random_state_alone():
    torch.manual_seed(4)
    before = torch.get_rng_state()
    assert (
        prove(lambda seed: nn.Sequential(nn.Flatten(), nn.Dropout(), ours("mlp", "batch", seed)), (2, 9, 9), 4) is None
    )
    assert torch.equal(torch.get_rng_state(), before)
