"""Spectral normalization (Miyato et al. 2018).

Legend: K lanes, O output channels and F inputs of an output (channels times kernel) of a lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.limits import above, at_least
from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.checks import require
from bnbench.norms.common.reparametrization import Reparametrization, WeightOnlyNorm, reparametrize
from bnbench.schema.facts import Facts

FIRST_ITERATIONS = 15
"""Power iterations at the start, as in torch, so that the first estimate is sound."""


class SpectralNormalization(WeightOnlyNorm):
    """``W / sigma(W)`` with the largest singular value of ``W [O, F]``, in all layers, and no norm of the activations.

    The singular value is estimated by power iteration (algorithm 1) from vectors that every training step carries on;
    evaluation leaves them as they are. They are drawn at random at the start.

    Args:
        num_features: channels C.
        iterations: power iterations in each training step.
        eps: below which length a vector is not normalized.
    """

    facts = Facts(
        title="Spectral normalization of weights",
        formula="W' = W / sigma_1(W)",
        over="the weights of each layer",
        batch_statistics=False,
        paper="Miyato et al. 2018",
    )

    def __init__(self, num_features: int, *, iterations: int = 1, eps: float = 1e-12) -> None:
        require(at_least("norm.iterations", iterations, 1), above("norm.eps", eps, 0))
        super().__init__(num_features)
        self.iterations = iterations
        self.eps = eps

    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Divide the weights of all layers of a network by their largest singular values."""
        reparametrize(network, SpectralWeight(self.iterations, self.eps), classifier=True)


@dataclass(frozen=True)
class SpectralWeight(Reparametrization):
    """Weights of spectral norm one, up to the error of the power iteration."""

    iterations: int
    eps: float

    def extend(self, layer: nn.Module) -> None:
        """Register the singular vectors ``left [O]`` and ``right [F]`` of the initial weight."""
        weight_1OF = layer.get_parameter("weight").detach().flatten(1)[None]
        left, right = (torch.randn_like(weight_1OF[:, :, 0]), torch.randn_like(weight_1OF[:, 0]))
        start = F.normalize(left, dim=1, eps=self.eps), F.normalize(right, dim=1, eps=self.eps)
        iterations = 0 if weight_1OF.is_meta else FIRST_ITERATIONS  # shapes alone, slow to compute
        left, right = power_iterations(weight_1OF, *start, iterations, self.eps)
        layer.register_buffer("left", left.flatten())
        layer.register_buffer("right", right.flatten())

    def weight_of(self, layer: Any, lanes: int = 1) -> Tensor:
        """See :class:`Reparametrization`; in training, the singular vectors of the layer are carried on."""
        weight = full_precision(layer.weight)
        with torch.autocast("cuda" if weight.is_cuda else "cpu", enabled=False):  # torch has none for meta
            weight_KOF = weight.reshape(lanes, len(weight) // lanes, -1)
            left_KO, right_KF = layer.left.view(lanes, -1).clone(), layer.right.view(lanes, -1).clone()
            if layer.training:
                left_KO, right_KF = power_iterations(weight_KOF, left_KO, right_KF, self.iterations, self.eps)
                layer.left.copy_(left_KO.flatten())
                layer.right.copy_(right_KF.flatten())
            sigma_K11 = left_KO[:, None] @ (weight_KOF @ right_KF[:, :, None])
            scaled_KO = torch.unflatten(weight, 0, (lanes, -1)) / sigma_K11.view(lanes, *[1] * weight.dim())
        applied: Tensor = scaled_KO.flatten(0, 1).to(layer.weight.dtype)
        return applied


@torch.no_grad()
def power_iterations(
    weight_KOF: Tensor, left_KO: Tensor, right_KF: Tensor, iterations: int, eps: float
) -> tuple[Tensor, Tensor]:
    """The left and right singular vectors of the largest singular value of K matrices, carried on from given ones."""
    for _ in range(iterations):
        left_KO = F.normalize((weight_KOF @ right_KF[:, :, None])[:, :, 0], dim=1, eps=eps)
        right_KF = F.normalize((left_KO[:, None] @ weight_KOF)[:, 0], dim=1, eps=eps)
    return left_KO, right_KF
