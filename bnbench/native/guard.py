"""A second look while compiled code trains: now and then a step of one lane is made by torch as well, and compared.

A proof sees the first steps of random networks. This sees the weights and the data of the run itself.

N batch, C channels, H, W of an image, P values of a parameter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from bnbench.native.graph import NotNative
from bnbench.spec import AdamW, RunSpec
from bnbench.stacking import Folded, streams_of, unfold
from bnbench.stacking.layers.layout import channels_last
from bnbench.stacking.optimizers import LaneAdam, LaneOptimizer, LaneSgd
from bnbench.training.forward import dtype_of, forward
from bnbench.training.loss import mean_loss
from bnbench.training.optimizer import adam_step, sgd_step
from bnbench.training.randomness import GlobalStream, generator
from bnbench.training.statistics import freeze_statistics

SHARE = 0.01
"""Share of the time of training that comparisons may take."""
FIRST_SECONDS, STEPS = 0.02, 60.0
"""Assumed cost of a first comparison: so many seconds, and so many steps of a lane."""
NOISE = 100.0
"""Compiled code may be so many times as far from what float64 gives as torch's own rounding is."""
FLOOR = 0.05
"""Share of a tensor's change in a step: rounding may open a ReLU that stays shut for torch."""
HUGE = 1e18
"""A number above which the product of two may be more than float32 holds, in sums of one order and not of another."""
LEAST = 1e-3
"""Share of the largest change of all tensors of a kind: a smaller one is rounding, as of a bias before a norm."""

Tensors = Mapping[str, Tensor]
"""In float64, by name."""


class Mismatch(Exception):
    """A compiled step changed a lane in another way than torch's; the message says how."""


@dataclass
class Budget:
    """Seconds that a process has trained, and what of them comparisons took."""

    trained: float = 0.0
    compared: float = 0.0


budget = Budget()
"""The budget of this process: short stacks share it."""


@dataclass(frozen=True)
class Lane:
    """A lane's parameters, its buffers, and its optimizer's state of each parameter."""

    parameters: Tensors
    buffers: Tensors
    state: Sequence[Tensors]


@dataclass(frozen=True)
class Batch:
    """Examples and learning rate of a lane's step."""

    x_NCHW: Tensor
    y_N: Tensor
    lr: float


@dataclass(frozen=True)
class Step:
    """A lane before a step, after it, and after it in float64."""

    column: int
    lr: float
    before: Lane
    after: Lane
    exact: Lane


class Guard:
    """Compares steps of a stack with the reference's.

    Args:
        specs: one per lane of the stack.
        share: of the time of training that comparisons may take.
    """

    def __init__(self, specs: Sequence[RunSpec], share: float = SHARE) -> None:
        self._spec, self._share = specs[0], share
        self._rng = generator(specs[0].seed, "guard")
        self._seconds: float | None = None
        self._lane_steps, self._trained = 0, 0.0
        self._suspicion: str | None = None

    @contextmanager
    def training(self, lane_steps: int) -> Iterator[None]:
        """Take the time of so many steps of a lane."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        budget.trained += seconds
        self._trained += seconds
        self._lane_steps += lane_steps

    def is_due(self) -> bool:
        """True if a comparison fits into its share of the time, or the one before has found a difference."""
        if self._suspicion is not None:
            return True
        expected = self._seconds
        if expected is None:
            expected = FIRST_SECONDS + STEPS * self._trained / self._lane_steps if self._lane_steps else FIRST_SECONDS
        return budget.compared + expected <= self._share * (budget.trained + budget.compared)

    def expect(
        self, network: Folded, optimizer: LaneOptimizer, block: tuple[Tensor, Tensor, Tensor], frozen: bool
    ) -> Step:
        """Make the next step of a lane that is drawn at random with torch.

        Args:
            network: left as it is, like the optimizer.
            block: x [S, M, C, H, W], y [S, K, N] and lr [S, K, 1], of which the first step counts.
            frozen: whether statistics are frozen.
        """
        start = time.perf_counter()
        column = int(torch.randint(network.lanes, (), generator=self._rng))
        x_SMCHW, y_SKN, lr_SK1 = block
        x_NCHW = torch.unflatten(x_SMCHW[0], 0, (network.lanes, -1))[column]
        batch = Batch(x_NCHW, y_SKN[0, column], lr_SK1[0, column].item())
        after, exact = (
            _after_step(self._spec, network, optimizer, column, batch, frozen, dtype)
            for dtype in (dtype_of(self._spec), torch.float64)
        )
        step = Step(column, batch.lr, _lane(network, optimizer, column), after, exact)
        self._seconds = time.perf_counter() - start
        budget.compared += self._seconds
        return step

    def compare(self, step: Step, network: Folded, optimizer: LaneOptimizer) -> None:
        """Raise :class:`Mismatch` if lanes have not become what was expected, twice in a row or not by a number."""
        start, received = time.perf_counter(), _lane(network, optimizer, step.column)
        difference = _difference(step, received, network, optimizer)
        budget.compared += time.perf_counter() - start
        if difference is not None and (self._suspicion is not None or not _is_finite(received)):
            raise Mismatch(f"compiled code {difference}")
        self._suspicion = difference

    @property
    def is_settled(self) -> bool:
        """True if the last comparison has found no difference."""
        return self._suspicion is None

    def settle(self) -> None:
        """Raise :class:`Mismatch` if the last comparison has found a difference, and there is no step for another."""
        if self._suspicion is not None:
            raise Mismatch(f"compiled code {self._suspicion}")


def _lane(network: Folded, optimizer: LaneOptimizer, column: int) -> Lane:
    """A lane of a stack as it is now."""
    single = unfold(network, column)
    return _copied(single, _state(single, network, optimizer, column))


def _state(single: nn.Module, network: Folded, optimizer: LaneOptimizer, column: int) -> dict[str, list[Tensor]]:
    """The state of a stack's optimizer for a lane's parameters, in the shapes and the type of these.

    A lane without momentum among others has velocities in the stack, which nobody uses.
    """
    if isinstance(optimizer, LaneSgd) and not optimizer.momentum_K1[column]:
        return {}
    joint = dict(network.network.named_parameters())
    return {
        name: [_shaped(state[column], joint[name], parameter) for state in optimizer.state_of(joint[name])[0]]
        for name, parameter in single.named_parameters()
    }


def _after_step(
    spec: RunSpec,
    network: Folded,
    optimizer: LaneOptimizer,
    column: int,
    batch: Batch,
    frozen: bool,
    dtype: torch.dtype,
) -> Lane:
    """A lane after a step as a network of its own."""
    single = unfold(network, column).to(dtype).train()
    if frozen:
        freeze_statistics(single)
    streams = streams_of(network)
    stream = None if streams is None else streams[column]
    with stream.ahead() if isinstance(stream, GlobalStream) else nullcontext():
        logits_NK = forward(spec, single, batch.x_NCHW.to(dtype))
    torch.autograd.backward(mean_loss(logits_NK, batch.y_N, spec.label_smoothing))
    states = _state(single, network, optimizer, column)
    joint = dict(network.network.named_parameters())
    for name, parameter in single.named_parameters():
        if parameter.grad is not None:
            decay = optimizer.decay_K1[column].item() * optimizer.state_of(joint[name])[1]
            _update(parameter, states.get(name, []), optimizer, column, batch.lr, decay)
    return _copied(single, states)


@torch.no_grad()
def _update(
    parameter: nn.Parameter, state: list[Tensor], optimizer: LaneOptimizer, column: int, lr: float, decay: float
) -> None:
    """A step of torch's own optimizer, as of :class:`bnbench.training.optimizer.Optimizer`."""
    assert parameter.grad is not None, "only parameters with gradients are updated"
    parameters, gradients = [cast(Tensor, parameter)], [parameter.grad]
    match optimizer:
        case LaneSgd(momentum_K1=momentum_K1, nesterov=nesterov):
            momentum = momentum_K1[column].item()
            velocity = state[0] if momentum else None
            sgd_step(parameters, gradients, [velocity], lr, decay, momentum, nesterov and momentum > 0)
        case LaneAdam(optim=optim, steps=steps):
            moments = state[0], state[1], torch.tensor(float(steps))
            adam_step(optim, parameters, gradients, [moments], lr, decay)
        case _:
            raise NotNative(type(optimizer).__name__)


def _shaped(values_P: Tensor, joint: Tensor, parameter: nn.Parameter) -> Tensor:
    """A lane's state in the order of the joint parameter's memory, in the shape and type of the lane's parameter."""
    shape = parameter.shape
    if channels_last(joint) and len(shape) == 4:
        outputs, inputs, height, width = shape
        return values_P.view(outputs, height, width, inputs).permute(0, 3, 1, 2).to(parameter, copy=True)
    return values_P.view(shape).to(parameter, copy=True)


def _copied(single: nn.Module, states: Mapping[str, Sequence[Tensor]]) -> Lane:
    """A lane's tensors in float64."""
    count = max(map(len, states.values()), default=0)
    return Lane(
        {name: item.detach().double().clone() for name, item in single.named_parameters()},
        {name: item.double().clone() for name, item in single.named_buffers()},
        [{name: items[index].double().clone() for name, items in states.items() if items} for index in range(count)],
    )


def _difference(step: Step, received: Lane, network: Folded, optimizer: LaneOptimizer) -> str | None:
    """The first tensor that is further from the exact one than rounding explains, and by how much."""
    before, after, exact = step.before, step.after, step.exact
    if not _is_finite(exact) or any(_length(item) > HUGE for item in exact.parameters.values()):
        return None  # a lane that diverges in this step
    parts = [(before.buffers, after.buffers, exact.buffers, received.buffers)]
    parts += zip(before.state, after.state, exact.state, received.state, strict=True)
    if isinstance(optimizer, LaneAdam):  # a gradient near zero decides the sign of an update, and rounding decides it
        updated = _adam(step, received, network, optimizer)
        parts.append((before.parameters, updated, updated, received.parameters))
    else:
        parts.append((before.parameters, after.parameters, exact.parameters, received.parameters))
    return next(filter(None, (_further(*part) for part in parts)), None)


def _is_finite(lane: Lane) -> bool:
    return all(item.isfinite().all() for item in lane.parameters.values())


def _adam(step: Step, received: Lane, network: Folded, optimizer: LaneAdam) -> dict[str, Tensor]:
    """The parameters that Adam makes of what it has kept after a step."""
    optim, steps = optimizer.optim, float(optimizer.steps)
    decay = step.lr * optimizer.decay_K1[step.column].item() if isinstance(optim, AdamW) else 0.0
    joint, updated = dict(network.network.named_parameters()), dict(step.before.parameters)
    for name, mean in received.state[0].items():
        root = (received.state[1][name] / (1 - optim.beta2**steps)).sqrt() + optim.eps
        shrunk = updated[name] * (1 - decay * optimizer.state_of(joint[name])[1])
        updated[name] = shrunk - step.lr * mean / (1 - optim.beta1**steps) / root
    return updated


def _further(before: Tensors, after: Tensors, exact: Tensors, received: Tensors) -> str | None:
    """The first of some tensors of a kind that is too far from the exact one.

    Numbers that torch's own float32 does not hold tell nothing, as a variance that overflows while weights stay finite.
    """
    known = {name: before[name].isfinite() & after[name].isfinite() & exact[name].isfinite() for name in exact}
    before, after, exact, received = (
        {name: part[name].where(known[name], 0.0) for name in exact} for part in (before, after, exact, received)
    )
    changes = {name: _length(exact[name] - before[name]) for name in exact}
    most = max(changes.values(), default=0.0)
    for name, tensor in exact.items():
        rounding = NOISE * _length(after[name] - tensor) + torch.finfo(torch.float32).eps * _length(tensor)
        allowed = rounding + FLOOR * max(changes[name], LEAST * most)
        difference = _length(received[name] - tensor)
        if not difference <= allowed:  # also true for nan
            return f"changed {name} by {difference:.1e} otherwise than torch, and rounding explains {allowed:.1e}"
    return None


def _length(tensor: Tensor) -> float:
    return float(tensor.norm())
