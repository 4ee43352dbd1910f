"""Weight normalization (Salimans & Kingma 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.reparametrization import (
    Reparametrization,
    WeightOnlyNorm,
    inner_axes,
    per_output,
    reparametrize,
)
from bnbench.schema.facts import Facts


class WeightNormalization(WeightOnlyNorm):
    """``gain * v / |v|`` per output (equation 2), in all layers, and no norm of the activations.

    ``v`` starts at the layer's initial weight and ``gain`` at its length, so the network starts as it would without.
    The paper's initialization from the first batch is not part of it.

    Args:
        num_features: channels C.
    """

    facts = Facts(
        title="Weight normalization",
        formula="W' = g * W / |W|",
        over="the weights of each output",
        batch_statistics=False,
        paper="Salimans & Kingma 2016",
    )

    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Separate length and direction of the weights of all layers of a network."""
        reparametrize(network, NormalizedWeight(), classifier=True)


class NormalizedWeight(Reparametrization):
    """Weights whose length per output is a parameter of its own."""

    def extend(self, layer: nn.Module) -> None:
        """Register ``gain [O]``, the lengths of the initial weight."""
        weight = layer.get_parameter("weight")
        layer.register_parameter("gain", nn.Parameter(lengths(weight.detach()).flatten()))

    def weight_of(self, layer: Any, lanes: int = 1) -> Tensor:
        """See :class:`Reparametrization`."""
        weight = full_precision(layer.weight)
        scale_O = per_output(full_precision(layer.gain), weight) / lengths(weight)
        applied: Tensor = (weight * scale_O).to(layer.weight.dtype)
        return applied


def lengths(weight: Tensor) -> Tensor:
    """The Euclidean length of each output's part of a weight ``[O, F...]``, as ``[O, 1...]``."""
    length: Tensor = torch.linalg.vector_norm(weight, dim=inner_axes(weight), keepdim=True)
    return length
