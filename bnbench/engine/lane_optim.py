"""Optimizers for a stack: the updates of torch.optim with a learning rate, momentum and weight decay per lane.

K lanes, P values of one parameter in one lane; every parameter of a stack is seen as [K, P].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from bnbench.engine.folding import lanes_of
from bnbench.spec import Adam, AdamW, Optim, Sgd


class LaneOptimizer(Protocol):
    """Updates all lanes at once from the gradients."""

    def step(self, lr_K1: Tensor) -> None:
        """Make one update with these learning rates."""
        ...

    def select(self, parameters: Sequence[Tensor], lanes: Tensor) -> None:
        """Go on with some lanes only, whose parameters these are."""
        ...


def make_lane_optimizer(optims: Sequence[Optim], parameters: Sequence[Tensor], decays: Sequence[bool]) -> LaneOptimizer:
    """The optimizer of a stack.

    Args:
        optims: one per lane; they differ in momentum and weight decay only.
        parameters: of the folded network.
        decays: for each parameter, whether weight decay applies to it.
    """
    first, like = optims[0], parameters[0]
    decay_K1 = like.new_tensor([[optim.weight_decay] for optim in optims])
    match first:
        case Sgd(nesterov=nesterov):
            momentum_K1 = like.new_tensor([[optim.momentum] for optim in optims if isinstance(optim, Sgd)])
            return LaneSgd(parameters, decays, decay_K1, momentum_K1, nesterov)
        case Adam() | AdamW():
            return LaneAdam(parameters, decays, decay_K1, first)


class LaneSgd:
    """Stochastic gradient descent as in ``torch.optim.SGD``."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        decays: Sequence[bool],
        decay_K1: Tensor,
        momentum_K1: Tensor,
        nesterov: bool,
    ) -> None:
        self._parameters = parameters
        self._decays = [decay and bool(decay_K1.any()) for decay in decays]
        self._decay_K1, self._momentum_K1, self._nesterov = decay_K1, momentum_K1, nesterov
        self._velocities: dict[int, Tensor] = {}

    @torch.no_grad()
    def step(self, lr_K1: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        moving = bool(self._momentum_K1.any())
        for index, values_KP, gradient_KP in views(self._parameters, len(lr_K1)):
            if self._decays[index]:
                gradient_KP = torch.addcmul(gradient_KP, values_KP, self._decay_K1)
            if moving:
                gradient_KP = self._moved(index, gradient_KP)
            values_KP.addcmul_(gradient_KP, lr_K1, value=-1)

    def _moved(self, index: int, gradient_KP: Tensor) -> Tensor:
        velocity_KP = self._velocities.get(index)
        if velocity_KP is None:
            velocity_KP = self._velocities[index] = gradient_KP.clone()
        else:
            velocity_KP.mul_(self._momentum_K1).add_(gradient_KP)
        return torch.addcmul(gradient_KP, velocity_KP, self._momentum_K1) if self._nesterov else velocity_KP

    def select(self, parameters: Sequence[Tensor], lanes: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        self._parameters = parameters
        self._decay_K1, self._momentum_K1 = self._decay_K1[lanes], self._momentum_K1[lanes]
        self._velocities = {index: velocity_KP[lanes] for index, velocity_KP in self._velocities.items()}


class LaneAdam:
    """Adam and AdamW as in ``torch.optim``."""

    def __init__(
        self, parameters: Sequence[Tensor], decays: Sequence[bool], decay_K1: Tensor, optim: Adam | AdamW
    ) -> None:
        self._parameters = parameters
        self._decays = [decay and bool(decay_K1.any()) for decay in decays]
        self._decay_K1, self._optim, self._steps = decay_K1, optim, 0
        self._means: dict[int, Tensor] = {}
        self._squares: dict[int, Tensor] = {}

    @torch.no_grad()
    def step(self, lr_K1: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        beta1, beta2, eps = self._optim.beta1, self._optim.beta2, self._optim.eps
        decoupled = isinstance(self._optim, AdamW)
        self._steps += 1
        correction1, correction2 = 1 - beta1**self._steps, 1 - beta2**self._steps
        for index, values_KP, gradient_KP in views(self._parameters, len(lr_K1)):
            if self._decays[index] and decoupled:
                values_KP.mul_(1 - lr_K1 * self._decay_K1)
            elif self._decays[index]:
                gradient_KP = torch.addcmul(gradient_KP, values_KP, self._decay_K1)
            mean_KP = self._means.setdefault(index, torch.zeros_like(gradient_KP))
            square_KP = self._squares.setdefault(index, torch.zeros_like(gradient_KP))
            mean_KP.lerp_(gradient_KP, 1 - beta1)
            square_KP.mul_(beta2).addcmul_(gradient_KP, gradient_KP, value=1 - beta2)
            denominator_KP = (square_KP.sqrt() / correction2**0.5).add_(eps)
            values_KP.addcmul_(mean_KP / denominator_KP, lr_K1, value=-1 / correction1)

    def select(self, parameters: Sequence[Tensor], lanes: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        self._parameters = parameters
        self._decay_K1 = self._decay_K1[lanes]
        self._means = {index: mean_KP[lanes] for index, mean_KP in self._means.items()}
        self._squares = {index: square_KP[lanes] for index, square_KP in self._squares.items()}


def views(parameters: Sequence[Tensor], lanes: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The index, values [K, P] and gradients [K, P] of each parameter that has a gradient."""
    for index, parameter in enumerate(parameters):
        if parameter.grad is not None:
            yield index, lanes_of(parameter, lanes), lanes_of(parameter.grad, lanes)


@torch.no_grad()
def clip_lanes(parameters: Sequence[Tensor], lanes: int, largest: float) -> None:
    """Scale each lane's gradient to an L2 norm of at most ``largest``, as ``torch.nn.utils.clip_grad_norm_`` does."""
    gradients = [gradient_KP for _, _, gradient_KP in views(parameters, lanes)]
    norm_K1 = torch.stack([gradient_KP.square().sum(1) for gradient_KP in gradients]).sum(0).sqrt()[:, None]
    scale_K1 = (largest / (norm_K1 + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            lanes_of(parameter.grad, lanes).mul_(scale_K1)
