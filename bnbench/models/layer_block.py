"""One layer with its norm and activation, as the MLP and the CNN are made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, get_args

from torch import nn

from bnbench.errors import Impossible
from bnbench.limits import above, at_least, at_most
from bnbench.models.initial import Init
from bnbench.norms.common.activation import activates, without_activation
from bnbench.norms.common.bias import wants_bias
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.reparametrization import WeightOnlyNorm

Activation = Literal["relu", "sigmoid", "tanh", "gelu", "none"]
Placement = Literal["before", "after"]
"""The place of the norm: before or after the activation."""
Bias = Literal["auto", "always", "never"]
"""``auto``: a layer has a bias unless a norm that shifts, or cancels it, comes right after it; ``always``: one that its
norm cancels is there but not trained."""
Pool = Literal["none", "average"]
"""The step between the last convolution and the linear layer: none, or the average over all positions."""

MOST = {"depth": 1000, "width": 2**16, "dim": 2**16, "mlp_ratio": 2**16, "kernel": 255}
"""Sizes beyond which a network is a slip of the pen; others are bounded by the image."""

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "none": nn.Identity,
}


def layer_block(
    layer: Callable[[bool], nn.Module],
    name: str,
    norm: nn.Module,
    activation: Activation,
    placement: Placement,
    bias: Bias,
) -> nn.Sequential:
    """A layer, then norm and activation in the order of ``placement``.

    A norm that holds its own activation takes the place of the ReLU behind it, and loses it with ``activation="none"``.

    Args:
        layer: makes the layer, with a bias or without.
        name: the layer's name in the result; the others are called norm and activation, whatever their order.
        norm: the normalization layer.
        activation: name of the activation.
        bias: when the layer has a bias.

    Raises:
        Impossible: the norm cannot have this placement or activation.
    """
    if placement == "after" and isinstance(norm, WeightOnlyNorm):
        raise Impossible(
            "model.placement=after needs a norm of the activations, and this one acts on weights only: choose "
            "model.placement=before"
        )
    separate = placement == "after" and activation != "none"
    biased = bias == "always" or (bias == "auto" and (separate or wants_bias(norm)))
    if activation == "none":
        without_activation(norm)
    elif activates(norm) and (placement, activation) != ("before", "relu"):
        raise Impossible(
            "the norm holds its own activation in place of a ReLU right behind it, which "
            f"model.placement={placement} model.activation={activation} does not have: choose model.placement=before "
            "and model.activation=relu, or model.activation=none to leave its activation out, or another norm"
        )
    behind = nn.Identity() if activates(norm) else ACTIVATIONS[activation]()
    rest = [("norm", norm), ("activation", behind)]
    return nn.Sequential(OrderedDict([(name, layer(biased)), *(rest if placement == "before" else rest[::-1])]))


def sizes_out_of_range(**sizes: int) -> list[list[str]]:
    """The problems of each size of a network, by the name of its option: below one, or beyond :data:`MOST`."""
    found = []
    for name, size in sizes.items():
        too_large = at_most(f"model.{name}", size, MOST[name]) if name in MOST else []
        found.append(at_least(f"model.{name}", size, 1) or too_large)
    return found


def require_options(
    depth: int, width: int, activation: str, init: str, init_std: float, placement: str, bias: str, pool: str = "none"
) -> None:
    """Raise :class:`InvalidRequest` with all the options of an MLP or CNN that are out of range."""
    require(
        *sizes_out_of_range(depth=depth, width=width),
        above("model.init_std", init_std, 0),
        among("model.activation", activation, get_args(Activation)),
        among("model.init", init, get_args(Init)),
        among("model.placement", placement, get_args(Placement)),
        among("model.bias", bias, get_args(Bias)),
        among("model.pool", pool, get_args(Pool)),
    )
