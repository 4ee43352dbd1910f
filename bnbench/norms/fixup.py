"""Fixup initialization (Zhang, Dauphin & Ma 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnbench.errors import Impossible
from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.input_bias import ShiftedConv2d, ShiftedLinear
from bnbench.norms.common.reparametrization import weighted_layers
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class Fixup(nn.Module):
    """No normalization: a residual network that starts small in its branches, with scalar scales and shifts.

    Of L residual branches with m layers each (section 3, the three rules): the last layer of every branch and the
    classifier start at zero; the other layers of a branch start at the model's initial weights times
    ``L^(-1 / (2 m - 2))``; each branch ends with a scalar scale, from one, and before each convolution (but the first,
    which sees the image), linear layer and activation a scalar is added, from zero.

    Where norms go stands ``weight * x + bias`` with scalars; at the end of a branch both, behind its other layers and
    the first layer of the network the shift, on a shortcut neither. The authors train the scalars at a tenth of the
    learning rate and share the shift before a branch with its shortcut's projection; here each layer has its own, and
    all parameters have one learning rate.

    Args:
        num_features: channels C.
    """

    facts = Facts(
        title="Fixup initialization of residual networks, without normalization",
        formula="x * weight + bias, with a scalar each; branches start small",
        over="nothing",
        batch_statistics=False,
        paper="Zhang, Dauphin & Ma 2019",
    )

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift x ``[N, C, *]`` by a scalar each, or one per lane for equal blocks of channels."""
        y = full_precision(x)
        if self.weight is not None:
            y = (blocks(y, self.weight) * broadcast_lanes(self.weight, y)).flatten(1, 2)
        if self.bias is not None:
            y = (blocks(y, self.bias) + broadcast_lanes(self.bias, y)).flatten(1, 2)
        return y.to(x.dtype)

    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Apply the rules to a network; raises :class:`Impossible` if no residual branches of it are known."""
        if not branches:
            raise Impossible(
                "norm=fixup is for residual networks, and no residual branches of this model are known: choose "
                "model=resnet20 or a deeper one, torchvision's ResNet family, or norm=none"
            )
        _initialize(weighted_layers(network), branches)
        _leave_scales_to_branches(network, branches)
        for path, layer in list(weighted_layers(network).items())[1:]:
            new = ShiftedConv2d if isinstance(layer, nn.Conv2d) else ShiftedLinear
            network.set_submodule(path, new(layer))  # type: ignore[arg-type]

    @staticmethod
    def fold(lanes: Sequence[Fixup]) -> nn.Module:
        """K layers as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")


def blocks(x: Tensor, scalar_K: Tensor) -> Tensor:
    """x ``[N, K * C, *]`` as ``[N, K, C, *]``."""
    return torch.unflatten(x, 1, (len(scalar_K), -1))


def broadcast_lanes(scalar_K: Tensor, x: Tensor) -> Tensor:
    """A scalar per lane, in float32 or better, beside the :func:`blocks` of x ``[N, K * C, *]``."""
    return full_precision(scalar_K).view(-1, *[1] * (x.dim() - 1))


@torch.no_grad()
def _initialize(layers: dict[str, nn.Linear | nn.Conv2d], branches: Sequence[Branch]) -> None:
    """The first two rules."""
    for branch in branches:
        *inner, last = branch.layers
        for layer in inner:
            layer.weight.mul_(len(branches) ** (-1 / (2 * len(branch.layers) - 2)))
        _to_zero(last)
    _to_zero(list(layers.values())[-1])


def _to_zero(layer: nn.Linear | nn.Conv2d) -> None:
    """Start a layer at zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _leave_scales_to_branches(network: nn.Module, branches: Sequence[Branch]) -> None:
    """Take the scale from all norms but the last of each branch, and the shift from those on shortcuts."""
    last = {id(branch.norms[-1]) for branch in branches}
    shortcuts = {id(branch.shortcut) for branch in branches}
    for norm in network.modules():
        if isinstance(norm, Fixup):
            norm.weight = norm.weight if id(norm) in last else None
            norm.bias = None if id(norm) in shortcuts else norm.bias
