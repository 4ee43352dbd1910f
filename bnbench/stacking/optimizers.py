"""Optimizers for a stack: the updates of torch.optim with a learning rate, momentum and weight decay per lane.

K lanes, P values of one parameter in one lane; every parameter of a stack is seen as [K, P]. M rows, F inputs and O
outputs of a product in one lane. On a GPU the parameters lie in one tensor [V] of all values: a few long passes over it
take the place of some for each parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from bnbench.spec import Adam, AdamW, RunSpec, Sgd
from bnbench.stacking import Factors, Folded, keep_factors, lanes_of
from bnbench.training.saving import State, put_lists


class LaneOptimizer(Protocol):
    """Updates all lanes at once from the gradients.

    Attributes:
        decay_K1: weight decay.
    """

    decay_K1: Tensor

    def zero_grad(self) -> None:
        """Forget the gradients."""
        ...

    def step(self, lr_K1: Tensor) -> None:
        """Make one update with these learning rates."""
        ...

    def select(self, network: Folded, lanes: Tensor) -> None:
        """Go on with some lanes only, which are this network."""
        ...

    def state_of(self, parameter: Tensor) -> tuple[Sequence[Tensor], bool]:
        """The state of a parameter, each [K, P], and True if weight decay applies to it."""
        ...

    def state(self) -> State:
        """What is kept of the steps so far, and what was settled by the lanes with which they began."""
        ...

    def restore(self, state: State) -> None:
        """Go on from a state, with new tensors. Raises :class:`bnbench.training.saving.Unfit`."""
        ...


def make_lane_optimizer(specs: Sequence[RunSpec], network: Folded, decays: Sequence[bool]) -> LaneOptimizer:
    """The optimizer of a stack.

    Args:
        specs: one per lane.
        network: the folded network.
        decays: for each parameter that is trained, whether weight decay applies to it.
    """
    first, like = specs[0].optim, next(network.parameters())
    decay_K1 = like.new_tensor([[spec.optim.weight_decay] for spec in specs])
    match first:
        case Sgd(nesterov=nesterov):
            momentum_K1 = like.new_tensor([[spec.optim.momentum] for spec in specs if isinstance(spec.optim, Sgd)])
            whole = specs[0].grad_clip is not None or like.is_cuda
            return LaneSgd(network, decays, decay_K1, momentum_K1, nesterov, whole, like.is_cuda)
        case Adam() | AdamW():
            return LaneAdam(network, decays, decay_K1, first, like.is_cuda)


class LaneSgd:
    """Stochastic gradient descent as in ``torch.optim.SGD``.

    Args:
        network: whose parameters are updated.
        decays: for each of them, whether weight decay applies to it.
        decay_K1: weight decay.
        momentum_K1: momentum.
        nesterov: Nesterov's form.
        whole: gradients are wanted as tensors, never as factors.
        flat: keep all values in one tensor, unless a parameter has no gradient.

    Attributes:
        momentum_K1: as given, like ``decay_K1`` and ``nesterov``.
    """

    def __init__(
        self,
        network: Folded,
        decays: Sequence[bool],
        decay_K1: Tensor,
        momentum_K1: Tensor,
        nesterov: bool,
        whole: bool,
        flat: bool = False,
    ) -> None:
        self._decays = [decay and bool(decay_K1.any()) for decay in decays]
        self.decay_K1, self.momentum_K1, self.nesterov, self._whole = decay_K1, momentum_K1, nesterov, whole
        self._moving, self._joins = bool(momentum_K1.any()), flat
        self._flat: Flat | None = None
        self._values: list[Tensor] = []
        common = bool((momentum_K1 == momentum_K1[0]).all())
        self._common_momentum = momentum_K1[0].item() if common else None
        self._take(network)
        self._velocities = [torch.zeros_like(values_KP) for values_KP in self._values if self._moving]

    def zero_grad(self) -> None:
        """See :class:`LaneOptimizer`."""
        for parameter, factors in zip(self._parameters, self._factors, strict=True):
            parameter.grad = None
            factors.clear()

    @torch.no_grad()
    def step(self, lr_K1: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        flat = self._in_one()
        if flat is not None:
            self._step_in_one(flat, lr_K1)
            return
        whole = []
        for index, factors in enumerate(self._factors):
            if self._parameters[index].grad is not None:
                whole.append(index)
            elif factors:
                self._step_by_factors(index, factors, lr_K1)
        if whole:
            self._step_by_gradients(whole, lr_K1)

    def _in_one(self) -> Flat | None:
        """All values in one tensor, if they are to be and every parameter has a gradient."""
        if not self._joins or any(parameter.grad is None for parameter in self._parameters):
            return None
        if self._flat is None:
            self._flat = flat = Flat(self._parameters, self._decays, self.decay_K1)
            self._values = flat.views(flat.values_V)
            if self._moving:
                self._velocity_V = flat.join(self._velocities)
                self._velocities = flat.views(self._velocity_V)
        return self._flat

    def _step_in_one(self, flat: Flat, lr_K1: Tensor) -> None:
        gradient_V, values_V = flat.gradient(), flat.values_V
        flat.decay(gradient_V)
        if self._moving:
            common = self._common_momentum
            momentum = flat.spread(self.momentum_K1) if common is None else common
            velocity_V = self._velocity_V.mul_(momentum).add_(gradient_V)
            if not self.nesterov:
                gradient_V = velocity_V
            elif common is None:
                gradient_V.addcmul_(velocity_V, flat.spread(self.momentum_K1))
            else:
                gradient_V.add_(velocity_V, alpha=common)
        values_V.addcmul_(gradient_V, flat.spread(lr_K1), value=-1)

    def _step_by_gradients(self, indices: Sequence[int], lr_K1: Tensor) -> None:
        values = [self._values[index] for index in indices]
        gradients = [self._gradient(index) for index in indices]
        if self._moving:
            velocities = [self._velocities[index] for index in indices]
            momenta = [self.momentum_K1] * len(indices)
            torch._foreach_mul_(velocities, momenta)
            torch._foreach_add_(velocities, gradients)
            gradients = list(torch._foreach_addcmul(gradients, velocities, momenta)) if self.nesterov else velocities
        torch._foreach_addcmul_(values, gradients, [lr_K1] * len(indices), value=-1)

    def _gradient(self, index: int) -> Tensor:
        gradient = self._parameters[index].grad
        assert gradient is not None, "only parameters with gradients are asked for"
        gradient_KP = lanes_of(gradient, len(self.decay_K1))
        for gradient_KMO, x_KMF in self._factors[index]:  # of other calls of the layer, with fewer rows
            gradient_KP = gradient_KP + torch.bmm(gradient_KMO.transpose(1, 2), x_KMF).flatten(1)
        if self._decays[index]:
            gradient_KP = torch.addcmul(gradient_KP, self._values[index], self.decay_K1)
        return gradient_KP

    def _step_by_factors(self, index: int, factors: Factors, lr_K1: Tensor) -> None:
        """The same update with a gradient that is a sum of products, which is never written out."""
        values_KP, decay_K1, momentum_K1 = self._values[index], self.decay_K1, self.momentum_K1
        shape = len(values_KP), factors[0][0].shape[2], factors[0][1].shape[2]
        if self._moving:
            velocity_KP = self._velocities[index]
            if self._common_momentum is None:
                velocity_KP.mul_(momentum_K1)
            beta = 1.0 if self._common_momentum is None else self._common_momentum
            for gradient_KMO, x_KMF in factors:
                velocity_KP.view(shape).baddbmm_(gradient_KMO.transpose(1, 2), x_KMF, beta=beta)
                beta = 1.0
            if self._decays[index]:
                velocity_KP.addcmul_(values_KP, decay_K1)
        if self._decays[index] and (self.nesterov or not self._moving):
            values_KP.mul_(1 - lr_K1 * decay_K1)
        if self.nesterov or not self._moving:
            for gradient_KMO, x_KMF in factors:
                values_KP.view(shape).baddbmm_((gradient_KMO * -lr_K1[:, :, None]).transpose(1, 2), x_KMF)
        if self._moving:
            values_KP.addcmul_(velocity_KP, lr_K1 * momentum_K1 if self.nesterov else lr_K1, value=-1)

    def state_of(self, parameter: Tensor) -> tuple[Sequence[Tensor], bool]:
        """The velocity, if there is momentum; see :class:`LaneOptimizer`."""
        for index, candidate in enumerate(self._parameters):
            if candidate is parameter:
                return self._velocities[index : index + 1], self._decays[index]
        return [], False

    def state(self) -> State:
        """See :class:`LaneOptimizer`: which parameters decay, and momentum, were those of all lanes."""
        return {
            "decays": self._decays,
            "moving": self._moving,
            "common_momentum": self._common_momentum,
            "velocities": self._velocities,
        }

    def restore(self, state: State) -> None:
        """See :class:`LaneOptimizer`."""
        self._decays, self._moving = list(state["decays"]), state["moving"]
        self._common_momentum = state["common_momentum"]
        self._velocities = [torch.zeros_like(values_KP) for values_KP in self._values if self._moving]
        put_lists(self._velocities, state["velocities"])

    def select(self, network: Folded, lanes: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        self._take(network)
        self.decay_K1, self.momentum_K1 = self.decay_K1[lanes], self.momentum_K1[lanes]
        self._velocities = [velocity_KP[lanes] for velocity_KP in self._velocities]

    def _take(self, network: Folded) -> None:
        self._parameters = trained(network)
        self._values = [lanes_of(parameter.detach(), network.lanes) for parameter in self._parameters]
        factors = {} if self._whole else keep_factors(network)
        self._factors: list[Factors] = [factors.get(id(parameter), []) for parameter in self._parameters]
        self._flat = None


class LaneAdam:
    """Adam and AdamW as in ``torch.optim``.

    Args:
        network: whose parameters are updated.
        decays: for each of them, whether weight decay applies to it.
        decay_K1: weight decay.
        optim: all else, which the lanes share.
        flat: as in :class:`LaneSgd`.

    Attributes:
        decay_K1: as given, like ``optim``.
        steps: how many were made.
    """

    def __init__(
        self, network: Folded, decays: Sequence[bool], decay_K1: Tensor, optim: Adam | AdamW, flat: bool = False
    ) -> None:
        self._parameters, self._joins = trained(network), flat
        self._decays = [decay and bool(decay_K1.any()) for decay in decays]
        self.decay_K1, self.optim = decay_K1, optim
        self.steps = torch.zeros((), dtype=torch.float64, device=decay_K1.device)
        values = [lanes_of(parameter.detach(), network.lanes) for parameter in self._parameters]
        self._means = [torch.zeros_like(values_KP) for values_KP in values]
        self._squares = [torch.zeros_like(values_KP) for values_KP in values]
        self._flat: Flat | None = None

    def zero_grad(self) -> None:
        """See :class:`LaneOptimizer`."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr_K1: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        beta1, beta2, eps = self.optim.beta1, self.optim.beta2, self.optim.eps
        decoupled = isinstance(self.optim, AdamW)
        self.steps.add_(1)
        rate_K1 = lr_K1 / (1 - beta1**self.steps)
        correction = (1 - beta2**self.steps).sqrt_()

        def update(values: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: Tensor) -> None:
            mean.lerp_(gradient, 1 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            denominator = (square.sqrt() / correction).add_(eps)
            values.addcmul_(mean / denominator, rate, value=-1)

        flat = self._in_one()
        if flat is not None:
            gradient_V = flat.gradient()
            if decoupled:
                flat.decay(None, lr_K1)
            else:
                flat.decay(gradient_V)
            update(flat.values_V, gradient_V, self._mean_V, self._square_V, flat.spread(rate_K1))
            return
        for index, values_KP, gradient_KP in views(self._parameters, len(lr_K1)):
            if self._decays[index] and decoupled:
                values_KP.mul_(1 - lr_K1 * self.decay_K1)
            elif self._decays[index]:
                gradient_KP = torch.addcmul(gradient_KP, values_KP, self.decay_K1)
            update(values_KP, gradient_KP, self._means[index], self._squares[index], rate_K1)

    def _in_one(self) -> Flat | None:
        """All values in one tensor, if they are to be and every parameter has a gradient."""
        if not self._joins or any(parameter.grad is None for parameter in self._parameters):
            return None
        if self._flat is None:
            self._flat = flat = Flat(self._parameters, self._decays, self.decay_K1)
            self._mean_V, self._square_V = flat.join(self._means), flat.join(self._squares)
            self._means, self._squares = flat.views(self._mean_V), flat.views(self._square_V)
        return self._flat

    def state_of(self, parameter: Tensor) -> tuple[Sequence[Tensor], bool]:
        """The means of the gradients and of their squares; see :class:`LaneOptimizer`."""
        for index, candidate in enumerate(self._parameters):
            if candidate is parameter:
                return [self._means[index], self._squares[index]], self._decays[index]
        return [], False

    def state(self) -> State:
        """See :class:`LaneOptimizer`: which parameters decay was settled by all lanes."""
        return {"decays": self._decays, "steps": self.steps, "means": self._means, "squares": self._squares}

    def restore(self, state: State) -> None:
        """See :class:`LaneOptimizer`."""
        self._decays = list(state["decays"])
        put_lists([self.steps], [state["steps"]])
        put_lists(self._means, state["means"])
        put_lists(self._squares, state["squares"])

    def select(self, network: Folded, lanes: Tensor) -> None:
        """See :class:`LaneOptimizer`."""
        self._parameters, self._flat = trained(network), None
        self.decay_K1 = self.decay_K1[lanes]
        self._means = [mean_KP[lanes] for mean_KP in self._means]
        self._squares = [square_KP[lanes] for square_KP in self._squares]


class Flat:
    """The parameters of a stack in one tensor, one after the other, each [K, P] in the order of its memory.

    Args:
        parameters: they become views of it, with their layouts.
        decays: for each of them, whether weight decay applies to it.
        decay_K1: weight decay.

    Attributes:
        values_V: all values.
    """

    def __init__(self, parameters: Sequence[Tensor], decays: Sequence[bool], decay_K1: Tensor) -> None:
        self._parameters, self._lanes = parameters, len(decay_K1)
        self._sizes = [parameter.numel() for parameter in parameters]
        self.values_V = self.join([lanes_of(parameter.detach(), self._lanes) for parameter in parameters])
        numbers = torch.arange(self._lanes, dtype=torch.int32, device=decay_K1.device)
        self._lane_V = torch.cat([numbers.repeat_interleave(size // self._lanes) for size in self._sizes])
        shares = [decay_K1.new_full((size,), float(decay)) for size, decay in zip(self._sizes, decays, strict=True)]
        self._decay_V = self.spread(decay_K1) * torch.cat(shares) if any(decays) else None
        for parameter, block in zip(parameters, torch.split(self.values_V, self._sizes), strict=True):
            parameter.data = torch.as_strided(block, parameter.shape, parameter.stride())

    def join(self, parts_KP: Sequence[Tensor]) -> Tensor:
        """One [K, P] for each parameter as one tensor [V]."""
        return torch.cat([part_KP.flatten() for part_KP in parts_KP])

    def views(self, values_V: Tensor) -> list[Tensor]:
        """Such a tensor as one [K, P] for each parameter."""
        return [block.view(self._lanes, -1) for block in torch.split(values_V, self._sizes)]

    def gradient(self) -> Tensor:
        """The gradients, as a tensor [V] that nobody else has."""
        gradients = [parameter.grad for parameter in self._parameters]
        return self.join([lanes_of(gradient, self._lanes) for gradient in gradients if gradient is not None])

    def spread(self, numbers_K1: Tensor) -> Tensor:
        """For each value the number of its lane."""
        return numbers_K1.flatten().index_select(0, self._lane_V)

    def decay(self, gradient_V: Tensor | None, lr_K1: Tensor | None = None) -> None:
        """Add weight decay to a gradient, or shrink the values by it and a learning rate, as in AdamW."""
        if self._decay_V is None:
            return
        if lr_K1 is not None:
            self.values_V.mul_(1 - self.spread(lr_K1) * self._decay_V)
        elif gradient_V is not None:
            gradient_V.addcmul_(self.values_V, self._decay_V)


def trained(network: Folded) -> list[Tensor]:
    """The parameters that are trained."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def views(parameters: Sequence[Tensor], lanes: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The index, values [K, P] and gradients [K, P] of each parameter that has a gradient."""
    for index, parameter in enumerate(parameters):
        if parameter.grad is not None:
            yield index, lanes_of(parameter, lanes), lanes_of(parameter.grad, lanes)


@torch.no_grad()
def clip_lanes(network: Folded, largest: float) -> None:
    """Scale each lane's gradient to an L2 norm of at most ``largest``, as ``torch.nn.utils.clip_grad_norm_`` does."""
    gradients = [gradient_KP for _, _, gradient_KP in views(trained(network), network.lanes)]
    norm_K1 = torch.stack([gradient_KP.square().sum(1) for gradient_KP in gradients]).sum(0).sqrt()[:, None]
    scale_K1 = (largest / (norm_K1 + 1e-6)).clamp(max=1.0)
    for gradient_KP in gradients:
        gradient_KP.mul_(scale_K1)
