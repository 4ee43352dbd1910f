"""The input of a probe, and the losses and gradients that probes ask of it.

N batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bnbench.data import Data, draw_epoch, order_of, training_batch
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec, effective_lr, stream
from bnbench.training.forward import dtype_of, forward
from bnbench.training.loss import mean_loss
from bnbench.training.randomness import GlobalStream, generator
from bnbench.training.schedule import multiplier
from bnbench.training.timeline import timeline_of

WHOLE = "network"
"""The layer of a value that belongs to all layers."""

Batch = tuple[Tensor, Tensor]
"""x [N, C, H, W], normalized, and y [N], or [N, W] where positions have labels."""


class Value(NamedTuple):
    """One measurement of a probe: the path of a layer or ``network``, the name of a quantity, and the number."""

    layer: str
    name: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Pause:
    """A network at a pause of its training.

    Attributes:
        network: in training mode, on the device of ``data``; the probe's own copy.
        step: optimizer steps so far.
        seed: of the probe's own random numbers; the same at every pause of a run.
    """

    spec: RunSpec
    network: nn.Module
    data: Data
    step: int
    seed: int

    @property
    def device(self) -> torch.device:
        """The device of training."""
        return self.data.device

    @property
    def lr(self) -> float:
        """The learning rate of the next step; of the last one when there is none."""
        total = timeline_of(self.spec, order_of(self.spec, self.data.train)).total
        return effective_lr(self.spec) * multiplier(self.spec.schedule, min(self.step, total - 1), total)


def training_batches(pause: Pause, count: int) -> list[Batch]:
    """The first ``count`` batches, or as many as there are, of an epoch in the probe's own order, augmented.

    They are the same at every pause and, as a run's data order, for all arms with one seed.
    """
    spec, data = pause.spec, pause.data
    order = order_of(spec, data.train)
    order_rng, augment_rng = generator(pause.seed, "order"), generator(pause.seed, "augment")
    draws = draw_epoch(order, data.augmentation, order_rng, augment_rng).to(pause.device)
    steps = islice(range(order.steps), count)
    return [training_batch(data, draws, step, spec.batch_size, dtype_of(spec)) for step in steps]


def loss_of(pause: Pause, network: nn.Module, batch: Batch) -> Tensor:
    """The loss that is trained, of one batch, in the mode in which the network is."""
    x_NCHW, y_N = batch
    return mean_loss(forward(pause.spec, network, x_NCHW), y_N, pause.spec.label_smoothing)


def loss_and_gradients(
    pause: Pause, network: nn.Module, batch: Batch, names: Iterable[str] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its gradients in float64 by the names of parameters; zero for one that the loss does not depend on.

    The network is left as it is, and layers that draw random numbers draw the same ones at every call, so two calls
    differ in what differs in the networks and in nothing else.

    Args:
        names: of the wanted gradients; None takes those of all that is trained.
    """
    trial = copied(network)
    known = trained(trial)
    wanted = {name: known[name] for name in (known if names is None else names)}
    with GlobalStream(stream(pause.seed, "layers"), pause.device):
        loss = loss_of(pause, trial, batch)
        found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return loss.detach().double(), {name: part.double() for name, part in zip(wanted, found, strict=True)}


def trained(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Tensors of any shapes as one vector."""
    return torch.cat([tensor.flatten() for tensor in tensors])
