"""The time of a training step of one run that is trained alone, or of several that take turns.

P networks (pauses), T turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnbench.probes.pause import WHOLE, Batch, Pause, Value, training_batches
from bnbench.probes.training_step import TrainingStep
from bnbench.training import now

WARM_UP, MEASURED = 5, 30
PARTS = ("forward", "backward", "update")

Times = dict[str, list[float]]
"""Seconds of every measured step, for each part and for the whole ``step``."""


def step_time(pause: Pause) -> list[Value]:
    """Median and interquartile range, in seconds, of ``forward``, ``backward``, ``update`` and the whole ``step``.

    30 steps are measured after 5 that warm up. Other work of the machine, as other workers of the sweep, is in them.
    """
    (values,) = step_times([pause])
    return values


def step_times(pauses: Sequence[Pause]) -> list[list[Value]]:
    """The values of :func:`step_time` for each of several networks that take turns, and ``step_in_turns``.

    That is the median over turns of a network's share of its turn, times the median of the turns, in seconds; a turn
    is the geometric mean of the steps in it. What slows all steps of a turn down is in no share, so the ratio of two
    networks' values is that of their steps. It is the median step of a network that is alone.
    """
    found = time_steps(pauses)
    steps_PT = np.array([times["step"] for times in found])
    turns_T = np.exp(np.log(steps_PT).mean(0))
    in_turns_P = np.median(steps_PT / turns_T, axis=1) * np.median(turns_T)
    return [
        [*_of_parts(times), Value(WHOLE, "step_in_turns", float(in_turns))]
        for times, in_turns in zip(found, in_turns_P, strict=True)
    ]


def _of_parts(times: Times) -> list[Value]:
    values = []
    for part, seconds in times.items():
        low, median, high = np.percentile(seconds, (25, 50, 75)).tolist()
        values.append(Value(WHOLE, f"{part}_median", median))
        values.append(Value(WHOLE, f"{part}_iqr", high - low))
    return values


def time_steps(pauses: Sequence[Pause], warm_up: int = WARM_UP, measured: int = MEASURED) -> list[Times]:
    """Time the steps of several networks that take turns, so that whatever slows the machine down slows all of them.

    Every other turn goes backwards, a b b a, so that no network always comes first.

    Args:
        pauses: one per network; each trains on one batch of its own.
        warm_up: steps before the first one that counts.
        measured: steps that count.
    """
    steps = [TrainingStep(pause) for pause in pauses]
    batches = [training_batches(pause, 1)[0] for pause in pauses]
    found: list[Times] = [{part: [] for part in (*PARTS, "step")} for _ in pauses]
    forwards = list(zip(pauses, steps, batches, found, strict=True))
    for turn in range(warm_up + measured):
        for pause, step, batch, times in forwards if turn % 2 == 0 else reversed(forwards):
            marks = _marks(pause, step, batch)
            if turn >= warm_up:
                for part, start, end in zip(PARTS, marks, marks[1:], strict=False):
                    times[part].append(end - start)
                times["step"].append(marks[-1] - marks[0])
    return found


def _marks(pause: Pause, step: TrainingStep, batch: Batch) -> list[float]:
    """The instants before, between and behind the parts of a step."""
    marks = [now(pause.device)]
    step.forward(batch)
    marks.append(now(pause.device))
    step.backward()
    marks.append(now(pause.device))
    step.update()
    marks.append(now(pause.device))
    return marks
