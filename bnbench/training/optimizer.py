"""torch.optim optimizers from a spec."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from bnbench.spec import Adam, AdamW, Optim, Sgd


def make_optimizer(optim: Optim, network: nn.Module, lr: float) -> torch.optim.Optimizer:
    """The optimizer for a network's parameters, with weight decay where the spec wants it."""
    groups = parameter_groups(optim, network)
    match optim:
        case Sgd(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)
        case Adam(beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps)
        case AdamW(beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps)


def parameter_groups(optim: Optim, network: nn.Module) -> list[dict[str, Any]]:
    """Parameters with and without weight decay; a group may be empty."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    pairs = list(zip(parameters, decays(optim, network), strict=True))
    return [
        {"params": [item for item, decay in pairs if decay], "weight_decay": optim.weight_decay},
        {"params": [item for item, decay in pairs if not decay], "weight_decay": 0.0},
    ]


def decays(optim: Optim, network: nn.Module) -> list[bool]:
    """For each trained parameter, whether weight decay applies to it.

    Tensors of two or more dimensions always decay; vectors are biases of layers with weights, or belong to norms.
    """
    biases = {
        id(parameter)
        for layer in network.modules()
        if isinstance(layer, nn.Linear | _ConvNd | nn.MultiheadAttention)
        for name, parameter in layer.named_parameters(recurse=False)
        if name in ("bias", "in_proj_bias")
    }
    return [
        parameter.ndim > 1 or (optim.decay_bias if id(parameter) in biases else optim.decay_norm)
        for parameter in network.parameters()
        if parameter.requires_grad
    ]
