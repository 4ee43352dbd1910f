"""A training step in the three parts whose cost is measured."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import nn

from bnbench.error_origin import is_bug
from bnbench.norms.common.copying import copied
from bnbench.probes.pause import Batch, Pause, flat, loss_and_gradients, loss_of, trained, training_batches
from bnbench.training import now
from bnbench.training.forward import memory_format
from bnbench.training.optimizer import Optimizer

PARTS = ("forward", "backward", "update")

Times = dict[str, list[float]]
"""Seconds of every measured step: of each part, of the whole ``step``, and, on a CPU, its ``cpu`` time."""


class TrainingStep:
    """Steps of a copy of a pause's network, each one a forward pass, a backward pass and an update."""

    def __init__(self, pause: Pause) -> None:
        self._pause, self._network, self._lr = pause, copied(pause.network), pause.lr
        self._parameters = list(trained(self._network).values())
        self._optimizer = Optimizer(pause.spec.optim, self._network)

    def forward(self, batch: Batch) -> None:
        """From the batch to the loss."""
        self._optimizer.zero_grad()
        self._loss = loss_of(self._pause, self._network, batch)

    def backward(self) -> None:
        """From the loss to the gradients."""
        torch.autograd.backward(self._loss)

    def update(self) -> None:
        """From the gradients to new parameters."""
        if self._pause.spec.grad_clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._pause.spec.grad_clip)
        self._optimizer.step(self._lr)


DIFFERENCE = 1e-2
"""Of gradients in two layouts, relative: rounding makes far less, a layer that mistakes one for the other far more."""


def in_common_layout(pause: Pause) -> Pause:
    """A pause whose tensors lie as those of runs without a plugin, if its network computes the same there.

    Images of runs with a plugin are contiguous, as a layer may take for granted; a step of convolutions and norms takes
    1.1 times as long for that alone.
    """
    spec = replace(pause.spec, plugin=None)
    if pause.spec.plugin is None or pause.device.type != "cpu":
        return pause
    (batch,) = training_batches(pause, 1)
    layout = memory_format(spec, pause.device)
    other = replace(pause, spec=spec, network=copied(pause.network).to(memory_format=layout))
    _, known = loss_and_gradients(pause, pause.network, batch)
    try:
        _, found = loss_and_gradients(other, other.network, batch)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        return pause
    gradient = flat(known.values())
    agrees = (flat(found.values()) - gradient).norm() <= DIFFERENCE * gradient.norm()
    return other if agrees else pause


class TimedStep:
    """Steps of one network on one batch, and the seconds that they took."""

    def __init__(self, pause: Pause) -> None:
        pause = in_common_layout(pause)
        self._device, self._step = pause.device, TrainingStep(pause)
        self._batch: Batch = training_batches(pause, 1)[0]
        names = (*PARTS, "step", "cpu") if pause.device.type == "cpu" else (*PARTS, "step")
        self.times: Times = {name: [] for name in names}

    def take(self) -> None:
        """Make a step that counts."""
        start = time.thread_time()
        marks = self.marks()
        cpu = time.thread_time() - start
        for part, begin, end in zip(PARTS, marks, marks[1:], strict=False):
            self.times[part].append(end - begin)
        self.times["step"].append(marks[-1] - marks[0])
        if "cpu" in self.times:
            self.times["cpu"].append(cpu)

    def marks(self) -> list[float]:
        """The instants before, between and behind the parts of a step."""
        marks = [now(self._device)]
        self._step.forward(self._batch)
        marks.append(now(self._device))
        self._step.backward()
        marks.append(now(self._device))
        self._step.update()
        marks.append(now(self._device))
        return marks
