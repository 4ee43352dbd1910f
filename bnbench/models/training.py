"""The choice of parameters of a network that are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from torch import nn

from bnbench.errors import Impossible
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.reparametrization import weighted_layers
from bnbench.spec import Train


def restrict_training(network: nn.Module, norms: Sequence[nn.Module], train: Train) -> None:
    """Train all parameters, or those of the norms only, or those and the last linear layer or convolution.

    The rest stays at its initial values, biases as well (Frankle, Schwab & Morcos 2021, who leave the classifier at its
    initial values too and train it beside the norms for comparison). What a norm has put into other layers counts as
    its own: lengths and gains of weights, Fixup's scalars.

    Args:
        network: built and initialized.
        norms: the layers that the chosen norm has made.
        train: what is trained.

    Raises:
        Impossible: only the norms are to be trained, and they have no parameters.
    """
    require(among("train", train, get_args(Train)))
    if train == "all":
        return
    trained_ids = {id(parameter) for norm in norms for parameter in norm.parameters()}
    layers = weighted_layers(network)
    for layer in layers.values():
        trained_ids |= {id(item) for name, item in layer.named_parameters() if name not in ("weight", "bias")}
    if train == "affine" and not any(id(parameter) in trained_ids for parameter in network.parameters()):
        raise Impossible(
            "train=affine needs a norm with parameters, and this one has none: choose norm.affine=both, scale or "
            "shift where the norm has it, another norm, or train=affine_and_classifier or all"
        )
    if train == "affine_and_classifier":
        trained_ids |= {id(parameter) for parameter in list(layers.values())[-1].parameters()}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in trained_ids)
