"""The models by name: each is ``f(norm, shape, classes, *, options) -> nn.Module``."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bnbench.models.cnn import cnn
from bnbench.models.convmixer import convmixer
from bnbench.models.convnext import convnext
from bnbench.models.gpt import gpt
from bnbench.models.mlp import mlp
from bnbench.models.resnet import resnet
from bnbench.models.torchvision_classifier import torchvision_classifier
from bnbench.models.vit import vit

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet20": resnet(20),
    "resnet32": resnet(32),
    "resnet44": resnet(44),
    "resnet56": resnet(56),
    "resnet110": resnet(110),
    "vit": vit,
    "convmixer": convmixer,
    "convnext": convnext,
    "gpt": gpt,
    "torchvision": torchvision_classifier,
}
