"""One product per lane, and its weight's gradient kept as the two factors it is made of.

Legend: K lanes, M rows (examples and positions), F inputs and O outputs of a lane.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnbench.norms.common.reparametrization import Reparametrization

Factors = list[tuple[Tensor, Tensor]]
"""Pairs of outputs' gradients ``[K, M, O]`` and inputs ``[K, M, F]``: a weight's gradient is the sum of their products.

An optimizer that adds the product to what it keeps of the gradient saves writing and reading it: with few rows that is
a third of all the memory traffic of a step.
"""


class FactoredLayer(nn.Module):
    """A layer of K lanes that multiplies by a weight, and can keep the gradient of that as factors.

    Attributes:
        weight: of all lanes.
        factors: takes the gradient of the weight if it is a list.
        reparametrization: computes the weight that is applied from the trained one, if the lanes do so.
    """

    weight: Tensor
    factors: Factors | None = None
    reparametrization: Reparametrization | None = None


def keep_factors(network: nn.Module) -> dict[int, Factors]:
    """Let the products of a network keep the factors of their weights' gradients; the lists by the weights' ids.

    A weight that is computed from a trained one needs a gradient of its own.
    """
    factors: dict[int, Factors] = {}
    for layer in network.modules():
        if isinstance(layer, FactoredLayer) and layer.reparametrization is None:
            layer.factors = factors[id(layer.weight)] = []
    return factors


def lane_product(x_KMF: Tensor, weight_KOF: Tensor, factors: Factors | None) -> Tensor:
    """Each lane's inputs times its transposed weight, ``[K, M, O]``.

    Args:
        factors: takes the gradient of the weight, which then gets none; None lets autograd have it.
    """
    if torch.is_autocast_enabled(x_KMF.device.type):
        dtype = torch.get_autocast_dtype(x_KMF.device.type)
        x_KMF, weight_KOF, factors = x_KMF.to(dtype), weight_KOF.to(dtype), None
    y: Tensor = LaneProduct.apply(x_KMF, weight_KOF, factors)
    return y


def wide_product(x_MKF: Tensor, weight_KOF: Tensor) -> Tensor:
    """:func:`lane_product` of lanes that lie beside each other, ``[M, K, O]``, without a copy on the way."""
    if torch.is_autocast_enabled(x_MKF.device.type):
        dtype = torch.get_autocast_dtype(x_MKF.device.type)
        x_MKF, weight_KOF = x_MKF.to(dtype), weight_KOF.to(dtype)
    y: Tensor = WideProduct.apply(x_MKF, weight_KOF)
    return y


def product_into(y_KMO: Tensor, x_KMF: Tensor, weight_KFO: Tensor) -> None:
    """Write a product per lane to where it belongs."""
    if y_KMO.numel():
        torch.bmm(x_KMF, weight_KFO, out=y_KMO)


class WideProduct(torch.autograd.Function):
    """:func:`wide_product`."""

    @staticmethod
    def forward(ctx: Any, x_MKF: Tensor, weight_KOF: Tensor) -> Tensor:
        """See :func:`wide_product`."""
        ctx.save_for_backward(x_MKF, weight_KOF)
        y_MKO = x_MKF.new_empty(len(x_MKF), *weight_KOF.shape[:2])
        product_into(y_MKO.transpose(0, 1), x_MKF.transpose(0, 1), weight_KOF.transpose(1, 2))
        return y_MKO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The gradients ``[M, K, F]`` and ``[K, O, F]``."""
        x_MKF, weight_KOF = ctx.saved_tensors
        gradient_KMO = gradients[0].transpose(0, 1)
        x_gradient = weight_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = torch.empty_like(x_MKF, memory_format=torch.contiguous_format)
            product_into(x_gradient.transpose(0, 1), gradient_KMO, weight_KOF)
        if ctx.needs_input_grad[1]:
            weight_gradient = torch.bmm(gradient_KMO.transpose(1, 2), x_MKF.transpose(0, 1))
        return x_gradient, weight_gradient


class LaneProduct(torch.autograd.Function):
    """:func:`lane_product`; the gradient of the weight has its own layout, not that of its transpose."""

    @staticmethod
    def forward(ctx: Any, x_KMF: Tensor, weight_KOF: Tensor, factors: Factors | None) -> Tensor:
        """See :func:`lane_product`."""
        ctx.save_for_backward(x_KMF, weight_KOF)
        ctx.factors = factors
        return torch.bmm(x_KMF, weight_KOF.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """The gradients ``[K, M, F]`` and ``[K, O, F]``."""
        x_KMF, weight_KOF = ctx.saved_tensors
        gradient_KMO = gradients[0]
        wanted_x, wanted_weight, _ = ctx.needs_input_grad
        input_gradient = torch.bmm(gradient_KMO, weight_KOF) if wanted_x else None
        if wanted_weight and ctx.factors is not None:
            ctx.factors.append((gradient_KMO, x_KMF))
            return input_gradient, None, None
        return input_gradient, torch.bmm(gradient_KMO.transpose(1, 2), x_KMF) if wanted_weight else None, None
