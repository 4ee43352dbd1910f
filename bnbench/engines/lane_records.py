"""Records of the runs of a stack, each as the reference engine yields them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, field

from bnbench.spec import RunSpec, effective_lr
from bnbench.stacking.metrics import LaneMetrics
from bnbench.training.records import Evaluation, Outcome, Progress, Record, end_of_run
from bnbench.training.saving import State
from bnbench.training.schedule import multiplier
from bnbench.training.timeline import Timeline

Scores = Sequence[tuple[float, float]]
"""Loss and accuracy by column."""


@dataclass(frozen=True)
class Pause:
    """A stack at a pause.

    Attributes:
        start: the step of the pause before.
        step: of this one.
        lanes: by column, the index of the run.
        metrics: of the steps between the two.
        first_bad: by column, the first of these steps, from 0, at which the run diverged; None if it did not.
        validation: loss and accuracy.
    """

    start: int
    step: int
    lanes: Sequence[int]
    metrics: LaneMetrics
    first_bad: Sequence[int | None]
    validation: Scores


@dataclass
class LaneRecords:
    """Makes the records of a stack's runs, and keeps the latest of each.

    Attributes:
        specs: of the runs.
        timelines: of each; they differ in the steps of an epoch at most.
        classes: of their data.
        parameters: number of trained ones.
        examples: of each run until the last pause.
    """

    specs: Sequence[RunSpec]
    timelines: Sequence[Timeline]
    classes: int
    parameters: int
    examples: int = 0
    _best: dict[int, float] = field(default_factory=dict)
    _latest: dict[int, Evaluation] = field(default_factory=dict)

    def at_pause(self, pause: Pause, alive: Collection[int]) -> Iterator[tuple[int, Record]]:
        """Index and record of the living runs: an evaluation, an outcome of one that diverged, or both."""
        sizes, before = pause.metrics.sizes, self.examples
        self.examples += sum(sizes)
        losses, accuracies = pause.metrics.mean_losses(), pause.metrics.accuracies()
        for column, lane in enumerate(pause.lanes):
            if lane not in alive:
                continue
            bad, (val_loss, val_accuracy) = pause.first_bad[column], pause.validation[column]
            if bad is None:
                yield (
                    lane,
                    self._evaluation(lane, pause.step, (losses[column], accuracies[column], val_loss, val_accuracy)),
                )
            if bad is not None or not math.isfinite(val_loss):
                steps = pause.step - pause.start if bad is None else bad
                progress = self._progress(lane, pause.start + steps, before + sum(sizes[:steps]))
                diverged_step = pause.step if bad is None else pause.start + bad + 1
                yield lane, end_of_run(progress, self.classes, self.parameters, diverged_step)

    def at_end(self, lanes: Sequence[int], alive: Collection[int], test: Scores) -> Iterator[tuple[int, Outcome]]:
        """Index and outcome of the runs that did not diverge."""
        for lane, score in zip(lanes, test, strict=True):
            if lane in alive:
                progress = self._progress(lane, self.timelines[lane].total, self.examples)
                yield lane, end_of_run(progress, self.classes, self.parameters, None, self._latest[lane], score)

    def at_stop(self, lanes: Sequence[int], alive: Collection[int], step: int) -> Iterator[tuple[int, Outcome]]:
        """Index and outcome of the runs that did not diverge, and stop before their end."""
        for lane in lanes:
            if lane in alive:
                progress = self._progress(lane, step, self.examples)
                yield lane, end_of_run(progress, self.classes, self.parameters, None, self._latest[lane])

    def state(self, lanes: Sequence[int]) -> State:
        """What later records of these lanes depend on."""
        latest = [astuple(self._latest[lane]) if lane in self._latest else None for lane in lanes]
        return {"examples": self.examples, "best": [self._best.get(lane) for lane in lanes], "latest": latest}

    def restore(self, state: State) -> None:
        """Go on from a state; the lanes are counted from 0 now."""
        self.examples = state["examples"]
        self._best = {lane: best for lane, best in enumerate(state["best"]) if best is not None}
        self._latest = {lane: Evaluation(*its) for lane, its in enumerate(state["latest"]) if its is not None}

    def _evaluation(self, lane: int, step: int, scores: tuple[float, float, float, float]) -> Evaluation:
        spec, timeline = self.specs[lane], self.timelines[lane]
        lr = effective_lr(spec) * multiplier(spec.schedule, step - 1, timeline.total)
        self._latest[lane] = Evaluation(step, step / timeline.per_epoch, self.examples, lr, *scores)
        self._best[lane] = max(self._best.get(lane, 0.0), scores[-1])
        return self._latest[lane]

    def _progress(self, lane: int, steps: int, examples: int) -> Progress:
        return Progress(steps, examples, self.timelines[lane].per_epoch, self._best.get(lane))
