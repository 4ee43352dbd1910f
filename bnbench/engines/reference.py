"""The reference engine: one run in plain PyTorch, the one that all others are judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple
from functools import partial
from typing import Any

import torch
from torch import nn

from bnbench.data import Data, order_of, training_batch
from bnbench.norms.common.processes import apart
from bnbench.spec import RunSpec, effective_lr
from bnbench.training.distributed import ALONE, Member
from bnbench.training.epochs import Epochs
from bnbench.training.evaluation import evaluate
from bnbench.training.forward import dtype_of, forward, memory_format
from bnbench.training.loss import is_right, mean_loss, positions
from bnbench.training.optimizer import Optimizer
from bnbench.training.randomness import GlobalStream, evaluation_stream
from bnbench.training.records import Evaluation, Probe, Progress, Reading, Record, end_of_run
from bnbench.training.saving import NOTHING, PythonWatch, Saving, Snapshot, put_tensors, tensors_of
from bnbench.training.schedule import multiplier
from bnbench.training.statistics import freeze_statistics
from bnbench.training.timeline import timeline_of


def train(
    spec: RunSpec,
    network: nn.Module,
    data: Data,
    probe: Probe | None = None,
    saving: Saving = NOTHING,
    member: Member = ALONE,
) -> Iterator[Record]:
    """Train one network and yield an Evaluation at each pause, then an Outcome.

    One that stops before its end is not tested.

    A probe's readings come before the first step, and behind every ``spec.probe_every``-th evaluation and the last.

    Args:
        network: initialized, on the device of ``data``; it is trained in place.
        data: uint8 or float examples on the device of training.
        probe: measures at pauses; training does not depend on it.
        saving: takes the network once it is tested, and its state at pauses.
        member: which of the processes this is that train the run; they all yield the same evaluations and outcome.

    Raises:
        Unfit: it cannot go on from the snapshot of ``saving``.
    """
    device = data.device
    network = network.to(dtype_of(spec)).to(memory_format=memory_format(spec, device)).train()
    order = order_of(spec, data.train)
    timeline = timeline_of(spec, order)
    per_epoch, total, goal = timeline.per_epoch, timeline.total, timeline.goal(saving.until)
    peak_lr = effective_lr(spec)
    optimizer = Optimizer(spec.optim, network)
    epochs = Epochs(order, data, spec.seed)
    layers_rng = GlobalStream(member.layers_seed(spec.seed), device)
    joined, batch_part = member.joined(spec, network, data), spec.part(spec.batch_size)

    step, examples, evaluation, best = 0, 0, None, None
    loss_limit, diverged_step = math.inf, None
    parts = _Parts(network, optimizer, epochs, layers_rng) if saving.checkpoints is not None else None
    begin = 0 if saving.snapshot is None else saving.snapshot.step
    if parts is not None and saving.snapshot is not None:
        step, (examples, best, loss_limit, latest) = begin, parts.go_on(saving.snapshot)
        evaluation = Evaluation(*latest)
        if step > timeline.frozen_from:
            freeze_statistics(network)
        if step % per_epoch:
            draws = member.part(epochs.draw(), spec.batch_size).to(device)
    while step < goal and diverged_step is None:
        if parts is not None and saving.checkpoints is not None and evaluation is not None and step > begin:
            tally = examples, best, loss_limit, astuple(evaluation)
            saving.checkpoints.at_pause(partial(parts.snapshot, step, step % per_epoch, tally))
        if probe is not None and timeline.is_probed(step):
            yield from _readings(probe, spec, network, data, step)
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        right, seen = torch.zeros((), dtype=torch.int64, device=device), 0
        pause = timeline.pause_after(step)
        with layers_rng:
            while step < pause:
                if step == timeline.frozen_from:
                    freeze_statistics(network)
                position = step % per_epoch
                if position == 0:
                    draws = member.part(epochs.draw(), spec.batch_size).to(device)
                x_NCHW, y_N = training_batch(data, draws, position, batch_part, dtype_of(spec))

                optimizer.zero_grad()
                logits_NK = forward(spec, joined, x_NCHW)
                loss = mean_loss(logits_NK, y_N, spec.label_smoothing)
                with torch.no_grad():
                    batch_right = is_right(logits_NK, y_N).sum()
                    batch_loss, batch_right, batch = member.together(loss, batch_right, len(y_N))
                value = batch_loss.item()
                if step == 0:
                    loss_limit = spec.divergence_factor * max(value, math.log(data.classes))
                if not value <= loss_limit:  # also true for nan
                    diverged_step = step + 1
                    break
                torch.autograd.backward(member.weighted(loss, len(y_N), batch))
                if spec.grad_clip is not None:
                    nn.utils.clip_grad_norm_(optimizer.parameters, spec.grad_clip)
                optimizer.step(peak_lr * multiplier(spec.schedule, step, total))

                with torch.no_grad():
                    loss_sum += batch_loss * batch
                    right += batch_right
                seen += batch
                step += 1
        examples += seen
        if diverged_step is not None:
            break
        with evaluation_stream(spec.seed, device):
            val_loss, val_accuracy = member.told(partial(evaluate, spec, network, data, data.validation), device)
        evaluation = Evaluation(
            step=step,
            epoch=step / per_epoch,
            examples=examples,
            lr=peak_lr * multiplier(spec.schedule, step - 1, total),
            train_loss=loss_sum.item() / seen,
            train_accuracy=right.item() / (seen * positions(data.train.y)),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
        )
        best = val_accuracy if best is None else max(best, val_accuracy)
        yield evaluation
        if not math.isfinite(val_loss):
            diverged_step = step

    parameter_count = sum(parameter.numel() for parameter in optimizer.parameters)
    if diverged_step is not None:
        yield end_of_run(Progress(step, examples, per_epoch, best), data.classes, parameter_count, diverged_step)
        return
    if step < total:
        if parts is not None and saving.checkpoints is not None and evaluation is not None:
            tally = examples, best, loss_limit, astuple(evaluation)
            saving.checkpoints.at_stop(partial(parts.snapshot, step, step % per_epoch, tally))
        yield end_of_run(Progress(step, examples, per_epoch, best), data.classes, parameter_count, None, evaluation)
        return
    if probe is not None:
        yield from _readings(probe, spec, network, data, step)
    with evaluation_stream(spec.seed, device):
        test = member.told(partial(evaluate, spec, network, data, data.test), device)
    if saving.keep is not None:
        saving.keep(spec, network)
    yield end_of_run(Progress(step, examples, per_epoch, best), data.classes, parameter_count, None, evaluation, test)


def _readings(probe: Probe, spec: RunSpec, network: nn.Module, data: Data, step: int) -> list[Reading]:
    """The readings of a probe, which measures in this process alone."""
    with apart():
        return probe(spec, network, data, step)


Tally = tuple[int, float | None, float, tuple[Any, ...]]
"""Examples so far, the best validation accuracy so far, the loss above which the run has diverged, and the fields of
its latest evaluation."""


class _Parts:
    """All of a run that its steps change, to be saved at a pause."""

    def __init__(self, network: nn.Module, optimizer: Optimizer, epochs: Epochs, layers_rng: GlobalStream) -> None:
        self._network, self._optimizer, self._epochs, self._layers_rng = network, optimizer, epochs, layers_rng
        self._python = PythonWatch(network)

    def snapshot(self, step: int, step_in_epoch: int, tally: Tally) -> Snapshot:
        """The run after a step. Raises :class:`Unsteady` if layers keep something in Python that changes."""
        self._python.check(self._network)
        state = {
            "network": tensors_of(self._network),
            "optimizer": self._optimizer.state(),
            "epochs": self._epochs.state(inside=step_in_epoch > 0),
            "layers": self._layers_rng.state(),
            "tally": tally,
        }
        return Snapshot(step, [0], state)

    def go_on(self, snapshot: Snapshot) -> Tally:
        """Be as the run was; inside an epoch, that is drawn next."""
        state = snapshot.state
        put_tensors(self._network, state["network"])
        self._optimizer.restore(state["optimizer"])
        self._epochs.restore(state["epochs"])
        self._layers_rng.restore(state["layers"])
        tally: Tally = state["tally"]
        return tally
