"""The optimizers of torch.optim from a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from bnbench.spec import Adam, AdamW, Optim, Sgd


class Optimizer:
    """Updates a network's parameters bit for bit as the optimizer of ``torch.optim`` does, by its own functions.

    Its class imports torch's compiler before the first step, which takes each process a second.

    Args:
        optim: the settings, with weight decay where they want it.

    Attributes:
        parameters: those that are trained, the ones with weight decay first.
    """

    def __init__(self, optim: Optim, network: nn.Module) -> None:
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        pairs = list(zip(trained, decays(optim, network), strict=True))
        decaying, others = ([item for item, decay in pairs if decay is wanted] for wanted in (True, False))
        self._groups = [_Group(optim, optim.weight_decay, decaying), _Group(optim, 0.0, others)]
        self.parameters = [*decaying, *others]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update all parameters that have a gradient."""
        for group in self._groups:
            group.step(lr)

    def state(self) -> list[Any]:
        """What is kept of the gradients so far, of tensors and numbers."""
        return [group.state() for group in self._groups]

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from a state."""
        for group, its in zip(self._groups, state, strict=True):
            group.restore(its)


class _Group:
    """Parameters with one weight decay, and what the optimizer keeps of each that had a gradient."""

    def __init__(self, optim: Optim, weight_decay: float, parameters: Sequence[nn.Parameter]) -> None:
        self._optim, self._weight_decay, self._parameters = optim, weight_decay, parameters
        self._velocities: dict[int, Tensor | None] = {}
        self._moments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def state(self) -> dict[str, Any]:
        return {"velocities": self._velocities, "moments": self._moments}

    def restore(self, state: Mapping[str, Any]) -> None:
        like = self._parameters
        for place, velocity in state["velocities"].items():
            self._velocities[place] = None if velocity is None else velocity.to(like[place])
        for place, (mean, square, count) in state["moments"].items():
            self._moments[place] = mean.to(like[place]), square.to(like[place]), count

    def step(self, lr: float) -> None:
        with_gradient = [place for place, parameter in enumerate(self._parameters) if parameter.grad is not None]
        parameters = [cast(Tensor, self._parameters[place]) for place in with_gradient]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if isinstance(self._optim, Sgd):
            self._step_sgd(self._optim, with_gradient, parameters, gradients, lr)
        else:
            self._step_adam(self._optim, with_gradient, parameters, gradients, lr)

    def _step_sgd(
        self, optim: Sgd, places: Sequence[int], parameters: list[Tensor], gradients: list[Tensor], lr: float
    ) -> None:
        velocities = [self._velocities.get(place) for place in places]
        sgd_step(parameters, gradients, velocities, lr, self._weight_decay, optim.momentum, optim.nesterov)
        self._velocities |= dict(zip(places, velocities, strict=True))

    def _step_adam(
        self, optim: Adam | AdamW, places: Sequence[int], parameters: list[Tensor], gradients: list[Tensor], lr: float
    ) -> None:
        for place, parameter in zip(places, parameters, strict=True):
            if place not in self._moments:
                mean = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                self._moments[place] = mean, mean.clone(), torch.tensor(0.0)
        adam_step(optim, parameters, gradients, [self._moments[place] for place in places], lr, self._weight_decay)


def sgd_step(
    parameters: list[Tensor],
    gradients: list[Tensor],
    velocities: list[Tensor | None],
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """A step of ``torch.optim.SGD``, in place.

    Args:
        velocities: one per parameter; torch puts new ones in place of None where there is momentum.
    """
    sgd(
        parameters, gradients, velocities, has_sparse_grad=any(gradient.is_sparse for gradient in gradients), lr=lr,
        weight_decay=weight_decay, momentum=momentum, dampening=0.0, nesterov=nesterov, maximize=False,
    )  # fmt: skip


def adam_step(
    optim: Adam | AdamW,
    parameters: list[Tensor],
    gradients: list[Tensor],
    moments: Sequence[tuple[Tensor, Tensor, Tensor]],
    lr: float,
    weight_decay: float,
) -> None:
    """A step of ``torch.optim.Adam`` or ``AdamW``, in place.

    Args:
        moments: per parameter the means of gradients and of their squares, and the count of steps.
    """
    means, squares, counts = ([moment[index] for moment in moments] for index in range(3))
    (adamw if isinstance(optim, AdamW) else adam)(
        parameters, gradients, means, squares, [], counts, lr=lr, weight_decay=weight_decay,
        beta1=optim.beta1, beta2=optim.beta2, eps=optim.eps, amsgrad=False, maximize=False,
    )  # fmt: skip


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
