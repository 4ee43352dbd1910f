"""A stack in training: the network of some lanes, and all that advances with it.

N batch of a lane, K lanes, M = K * N, C channels, H, W, S steps of a block or between two pauses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from bnbench.data import Data, Examples
from bnbench.spec import RunSpec, effective_lr
from bnbench.stacking.batches import LaneBatches
from bnbench.stacking.metrics import LaneMetrics
from bnbench.stacking.network import Folded, lane_by_lane_layers, select, streams_of, unfold
from bnbench.stacking.optimizers import LaneOptimizer
from bnbench.training.evaluation import Predictions, evaluate_lanes
from bnbench.training.forward import memory_format
from bnbench.training.randomness import GlobalStream, undrawn
from bnbench.training.records import Keep, Probe, Reading
from bnbench.training.saving import PythonWatch, State, tensors_of
from bnbench.training.schedule import multiplier
from bnbench.training.statistics import freeze_statistics
from bnbench.training.timeline import Timeline

MIN_LANES = 2
"""Lanes that a stack keeps and is evaluated with: torch rounds products of one lane in a way of their own."""


class Steps(Protocol):
    """Makes steps of a stack."""

    def run(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps with x [S, M, C, H, W], y [S, K, N], lr [S, K, 1]: losses [S, M] and logits [S, M, O]."""
        ...

    def select(self, network: Folded, longest: int) -> None:
        """Go on with some lanes only, which are this network; or with the same, whose statistics are frozen."""
        ...

    def settle(self) -> None:
        """Raise if something is known against the steps at their end."""
        ...

    @property
    def is_settled(self) -> bool:
        """True if nothing is known against the steps so far."""
        ...

    @property
    def predictions(self) -> Predictions | None:
        """What puts out the network's logits at evaluation; None where the network itself does."""
        ...


class Stack:
    """K runs as one network, their place in the data, their steps and their learning rates.

    Args:
        specs: of all runs, with one stack key.
        data: of each, on the device of training.
        timeline: of the runs.
        network: trained in place.
        optimizer: of the network.
        batches: of all lanes.
        steps: of the network; lanes are independent of each other's number down to ``min_lanes``.

    Attributes:
        lanes: by column of the network, which of ``specs`` it is.
        alive: those of them that have not diverged.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        data: Sequence[Data],
        timeline: Timeline,
        network: Folded,
        optimizer: LaneOptimizer,
        batches: LaneBatches,
        steps: Steps,
    ) -> None:
        self._specs, self._data, self._timeline = specs, data, timeline
        self._network, self._optimizer, self._batches, self._steps = network, optimizer, batches, steps
        self.lanes = list(range(len(specs)))
        self.alive = set(self.lanes)
        parameter = next(network.parameters())
        self._lr_K1 = parameter.new_tensor([[effective_lr(spec)] for spec in specs])
        factors = [multiplier(specs[0].schedule, step, timeline.total) for step in range(timeline.total)]
        self._factors_S11 = parameter.new_tensor(factors)[:, None, None]
        self._limit_K = parameter.new_full((len(specs),), math.inf)
        self._frozen = False
        self._python: PythonWatch | None = None

    def train(self, start: int, pause: int) -> LaneMetrics:
        """Make the steps from one pause to the next."""
        timeline, metrics, step = self._timeline, LaneMetrics(), start
        with undrawn():
            while step < pause:
                if step == timeline.frozen_from:
                    self._freeze()
                until = timeline.frozen_from if step < timeline.frozen_from < pause else pause
                x_SMCHW, y_SKN = self._batches.take(until - step)
                lr_SK1 = self._lr_K1 * self._factors_S11[step : step + len(y_SKN)]
                metrics.add(*self._steps.run(x_SMCHW, y_SKN, lr_SK1), y_SKN)
                step += len(y_SKN)
            if pause < timeline.total:
                self._batches.look_ahead()
        return metrics

    def first_bad(self, metrics: LaneMetrics, first: bool) -> list[int | None]:
        """The first step of each column, from 0 since the last pause, whose loss is not finite or above the limit.

        Args:
            first: the first of these steps is that of the run, whose loss the limit is a multiple of.
        """
        losses_SK = metrics.losses()
        if first:
            self._limit_K = self._specs[0].divergence_factor * losses_SK[0].clamp(min=math.log(self._data[0].classes))
        bad_SK = ~(losses_SK.isfinite() & (losses_SK <= self._limit_K))
        at = bad_SK.int().argmax(0).tolist()
        return [step if is_bad else None for step, is_bad in zip(at, bad_SK.any(0).tolist(), strict=True)]

    def evaluate(self, part: Callable[[Data], Examples]) -> list[tuple[float, float]]:
        """Loss and accuracy by column on a part of its data; a single lane is evaluated as if it had companions."""
        predictions = self._steps.predictions
        is_single = predictions is None and len(self.lanes) < MIN_LANES
        lanes = self.lanes * MIN_LANES if is_single else self.lanes
        specs, data = [self._specs[lane] for lane in lanes], [self._data[lane] for lane in lanes]
        with undrawn():
            network = select(self._network, [0] * MIN_LANES) if is_single else self._network
            parts = [part(split) for split in data]
            return evaluate_lanes(specs, network, data, parts, predictions)[: len(self.lanes)]

    def measure(self, probe: Probe, step: int) -> list[tuple[int, Reading]]:
        """A probe's readings of each living lane, as a network of its own with its weights as one alone has them."""
        readings: list[tuple[int, Reading]] = []
        for lane, alone in self._networks():
            readings += [(lane, reading) for reading in probe(self._specs[lane], alone, self._data[lane], step)]
        return readings

    def keep(self, keep: Keep) -> None:
        """Give away each living lane, as a network of its own."""
        for lane, alone in self._networks():
            keep(self._specs[lane], alone)

    def drop_ended(self, min_lanes: int = MIN_LANES, always: bool = False) -> None:
        """Go on without the lanes that have ended, but for those without which bits of the others would change.

        Args:
            always: these as well: the others go on with the bits of a smaller stack.
        """
        columns = self._columns_to_keep(min_lanes, always)
        if not self.alive or len(columns) == len(self.lanes):
            return
        old, self._network = self._network, select(self._network, columns).train()
        if self._python is not None:
            self._python.move(old.network, self._network.network)
        if self._frozen:
            freeze_statistics(self._network)
        index = torch.tensor(columns, device=self._lr_K1.device)
        self._optimizer.select(self._network, index)
        self._batches.select(columns)
        self._steps.select(self._network, self._batches.longest)
        self._lr_K1, self._limit_K = self._lr_K1[index], self._limit_K[index]
        self.lanes = [self.lanes[column] for column in columns]

    def settle(self) -> None:
        """Raise if something is known against the steps at their end."""
        self._steps.settle()

    @property
    def is_settled(self) -> bool:
        """True if nothing is known against the steps so far."""
        return self._steps.is_settled

    def watch_python(self) -> None:
        """From now on, know whether layers keep something in Python that changes; called before the first step."""
        self._python = PythonWatch(self._network.network)

    def state(self, step: int) -> State:
        """All that the stack goes on from at a pause: with it, another one is made.

        Raises:
            Unsteady: layers keep something in Python that changes.
        """
        assert self._python is not None, "somebody who wants to save says so"
        self._python.check(self._network.network)
        streams = streams_of(self._network)
        return {
            "wide": self._network.wide,
            "vmapped": [layer.vmapped for layer in lane_by_lane_layers(self._network)],
            "network": tensors_of(self._network),
            "streams": streams and [stream.state() for stream in streams if isinstance(stream, GlobalStream)],
            "optimizer": self._optimizer.state(),
            "batches": self._batches.state(),
            "limit": self._limit_K,
        }

    def go_on(self, state: State, step: int) -> None:
        """Take the place of the stack whose state this was; the parts that it was made of have theirs already."""
        self._limit_K.copy_(state["limit"])
        self._frozen = step > self._timeline.frozen_from

    def _networks(self) -> Iterator[tuple[int, nn.Module]]:
        """Each living lane, with its weights as one alone has them."""
        for column, lane in enumerate(self.lanes):
            if lane in self.alive:
                layout = memory_format(self._specs[lane], self._data[lane].device)
                yield lane, unfold(self._network, column).to(memory_format=layout)

    def _freeze(self) -> None:
        freeze_statistics(self._network)
        self._steps.select(self._network, self._batches.longest)
        self._frozen = True

    def _columns_to_keep(self, min_lanes: int, always: bool) -> list[int]:
        if not (self._network.separable or always):
            return list(range(len(self.lanes)))
        living = [column for column, lane in enumerate(self.lanes) if lane in self.alive]
        rest = [column for column, lane in enumerate(self.lanes) if lane not in self.alive]
        return sorted(living + rest[: max(0, min_lanes - len(living))])
