"""A training step in the three parts whose cost is measured."""

from __future__ import annotations

import torch
from torch import nn

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import Batch, Pause, loss_of, trained
from bnbench.training.optimizer import make_optimizer


class TrainingStep:
    """Steps of a copy of a pause's network, each one a forward pass, a backward pass and an update."""

    def __init__(self, pause: Pause) -> None:
        self._pause, self._network = pause, copied(pause.network)
        self._parameters = list(trained(self._network).values())
        self._optimizer = make_optimizer(pause.spec.optim, self._network, pause.lr)

    def forward(self, batch: Batch) -> None:
        """From the batch to the loss."""
        self._optimizer.zero_grad(set_to_none=True)
        self._loss = loss_of(self._pause, self._network, batch)

    def backward(self) -> None:
        """From the loss to the gradients."""
        torch.autograd.backward(self._loss)

    def update(self) -> None:
        """From the gradients to new parameters."""
        if self._pause.spec.grad_clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._pause.spec.grad_clip)
        self._optimizer.step()
