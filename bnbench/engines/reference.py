"""The reference engine: one run in plain PyTorch, the one that all others are judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from bnbench.data import Data, Examples, order_of, training_batch
from bnbench.norms.common.processes import apart
from bnbench.spec import RunSpec, effective_lr
from bnbench.training.distributed import ALONE, Member
from bnbench.training.epochs import Epochs
from bnbench.training.evaluation import evaluate
from bnbench.training.forward import dtype_of, forward, memory_format
from bnbench.training.loss import is_right, mean_loss, positions
from bnbench.training.optimizer import Optimizer
from bnbench.training.randomness import GlobalStream, evaluation_stream
from bnbench.training.records import Evaluation, Outcome, Probe, Progress, Reading, Record, end_of_run
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
    run, checkpoints = _Run(spec, network, data, member), saving.checkpoints
    watch = PythonWatch(run.network) if checkpoints is not None else None
    if saving.snapshot is not None:
        run.go_on(saving.snapshot)
    begin, goal = run.step, run.timeline.goal(saving.until)
    while run.step < goal and run.diverged_step is None:
        if checkpoints is not None and run.step > begin:
            checkpoints.at_pause(partial(run.snapshot, watch))
        if probe is not None and run.timeline.is_probed(run.step):
            yield from _readings(probe, run)
        sums = run.train_to(run.timeline.pause_after(run.step))
        if run.diverged_step is None:
            yield run.evaluate(sums)
    if checkpoints is not None and run.diverged_step is None and not run.is_whole:
        checkpoints.at_stop(partial(run.snapshot, watch))
    yield from _end(run, probe, saving)


def _end(run: _Run, probe: Probe | None, saving: Saving) -> Iterator[Record]:
    """The last records of a run: one that came to its end is probed, tested and kept."""
    if not run.is_whole:
        yield run.outcome()
        return
    if probe is not None:
        yield from _readings(probe, run)
    test = run.scores(run.data.test)
    if saving.keep is not None:
        saving.keep(run.spec, run.network)
    yield run.outcome(test)


def _readings(probe: Probe, run: _Run) -> list[Reading]:
    """The readings of a probe, which measures in this process alone."""
    with apart():
        return probe(run.spec, run.network, run.data, run.step)


@dataclass
class _Sums:
    """Sums over the examples of some steps.

    Attributes:
        loss: of each example.
        right: predictions that are.
        seen: examples.
    """

    loss: torch.Tensor
    right: torch.Tensor
    seen: int = 0


Tally = tuple[int, float | None, float, tuple[Any, ...]]
"""Examples so far, the best validation accuracy so far, the loss above which the run has diverged, and the fields of
its latest evaluation."""


class _Run:
    """A run in training: what its steps change, and how far they have come.

    Args:
        network: initialized, on the device of ``data``; it is trained in place.
        member: which of the processes this is that train it.

    Attributes:
        step: how many were made.
        diverged_step: in which the loss left all bounds; None as long as it has not.
    """

    def __init__(self, spec: RunSpec, network: nn.Module, data: Data, member: Member) -> None:
        self.spec, self.data, self._member, self._device = spec, data, member, data.device
        self.network = network.to(dtype_of(spec)).to(memory_format=memory_format(spec, data.device)).train()
        order = order_of(spec, data.train)
        self.timeline, self._peak_lr = timeline_of(spec, order), effective_lr(spec)
        self._optimizer = Optimizer(spec.optim, self.network)
        self._epochs = Epochs(order, data, spec.seed)
        self._layers_rng = GlobalStream(member.layers_seed(spec.seed), data.device)
        self._joined, self._batch_part = member.joined(spec, self.network, data), spec.part(spec.batch_size)
        self.step, self.diverged_step = 0, cast(int | None, None)
        self._examples, self._loss_limit = 0, math.inf
        self._best: float | None = None
        self._evaluation: Evaluation | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all steps were made, and none diverged."""
        return self.diverged_step is None and self.step == self.timeline.total

    def train_to(self, pause: int) -> _Sums:
        """Make the steps up to a pause, or until one diverges."""
        spec, data, member, optimizer = self.spec, self.data, self._member, self._optimizer
        zero = partial(torch.zeros, (), device=self._device)
        sums = _Sums(zero(dtype=torch.float64), zero(dtype=torch.int64))
        with self._layers_rng:
            while self.step < pause:
                if self.step == self.timeline.frozen_from:
                    freeze_statistics(self.network)
                position = self.step % self.timeline.per_epoch
                if position == 0:
                    self._draw()
                x_NCHW, y_N = training_batch(data, self._draws, position, self._batch_part, dtype_of(spec))

                optimizer.zero_grad()
                logits_NK = forward(spec, self._joined, x_NCHW)
                loss = mean_loss(logits_NK, y_N, spec.label_smoothing)
                with torch.no_grad():
                    batch_right = is_right(logits_NK, y_N).sum()
                    batch_loss, batch_right, batch = member.together(loss, batch_right, len(y_N))
                value = batch_loss.item()
                if self.step == 0:
                    self._loss_limit = spec.divergence_factor * max(value, math.log(data.classes))
                if not (math.isfinite(value) and value <= self._loss_limit):
                    self.diverged_step = self.step + 1
                    break
                torch.autograd.backward(member.weighted(loss, len(y_N), batch))
                if spec.grad_clip is not None:
                    nn.utils.clip_grad_norm_(optimizer.parameters, spec.grad_clip)
                optimizer.step(self._lr(self.step))

                with torch.no_grad():
                    sums.loss += batch_loss * batch
                    sums.right += batch_right
                sums.seen += batch
                self.step += 1
        self._examples += sums.seen
        return sums

    def evaluate(self, sums: _Sums) -> Evaluation:
        """The evaluation at a pause; a loss that is no number is the end."""
        val_loss, val_accuracy = self.scores(self.data.validation)
        self._evaluation = Evaluation(
            step=self.step,
            epoch=self.step / self.timeline.per_epoch,
            examples=self._examples,
            lr=self._lr(self.step - 1),
            train_loss=sums.loss.item() / sums.seen,
            train_accuracy=sums.right.item() / (sums.seen * positions(self.data.train.y)),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
        )
        self._best = val_accuracy if self._best is None else max(self._best, val_accuracy)
        if not math.isfinite(val_loss):
            self.diverged_step = self.step
        return self._evaluation

    def scores(self, split: Examples) -> tuple[float, float]:
        """Loss and accuracy on a split."""
        with evaluation_stream(self.spec.seed, self._device):
            return self._member.told(partial(evaluate, self.spec, self.network, self.data, split), self._device)

    def outcome(self, test: tuple[float, float] | None = None) -> Outcome:
        """The end of the run; without test scores it has diverged or stopped."""
        parameters = sum(parameter.numel() for parameter in self._optimizer.parameters)
        done = Progress(self.step, self._examples, self.timeline.per_epoch, self._best)
        final = self._evaluation if self.diverged_step is None else None
        return end_of_run(done, self.data.classes, parameters, self.diverged_step, final, test)

    def snapshot(self, watch: PythonWatch | None) -> Snapshot:
        """The run at a pause. Raises :class:`Unsteady` if layers keep something in Python that changes."""
        assert watch is not None and self._evaluation is not None, "it has been watched, and evaluated at the pause"
        watch.check(self.network)
        tally: Tally = self._examples, self._best, self._loss_limit, astuple(self._evaluation)
        state = {
            "network": tensors_of(self.network),
            "optimizer": self._optimizer.state(),
            "epochs": self._epochs.state(inside=self.step % self.timeline.per_epoch > 0),
            "layers": self._layers_rng.state(),
            "tally": tally,
        }
        return Snapshot(self.step, [0], state)

    def go_on(self, snapshot: Snapshot) -> None:
        """Be as the run was."""
        state = snapshot.state
        put_tensors(self.network, state["network"])
        self._optimizer.restore(state["optimizer"])
        self._epochs.restore(state["epochs"])
        self._layers_rng.restore(state["layers"])
        tally: Tally = state["tally"]
        self.step, (self._examples, self._best, self._loss_limit, latest) = snapshot.step, tally
        self._evaluation = Evaluation(*latest)
        if self.step > self.timeline.frozen_from:
            freeze_statistics(self.network)
        if self.step % self.timeline.per_epoch:
            self._draw()

    def _draw(self) -> None:
        """Draw the order of the next epoch, or of the rest of this one."""
        self._draws = self._member.part(self._epochs.draw(), self.spec.batch_size).to(self._device)

    def _lr(self, step: int) -> float:
        return self._peak_lr * multiplier(self.spec.schedule, step, self.timeline.total)
