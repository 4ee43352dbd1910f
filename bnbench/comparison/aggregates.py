"""A reading over all tasks that it was asked on: how often one arm's run is better than another's, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnbench.comparison.course import Dossier
from bnbench.comparison.design import Asked, Pair
from bnbench.comparison.targets import over_targets
from bnbench.stats import Estimate, probability_of_improvement, relative_interquartile_mean
from bnbench.study.questions import Reading

SEED = 0
"""Of the resamples: the same runs give the same intervals."""
FEWEST_TASKS = 2


@dataclass(frozen=True, slots=True)
class PairOverTasks:
    """Two arms over all tasks of a reading.

    Attributes:
        improvement: the probability that a run of the first arm is better than one of the second (Agarwal et al. 2021).
        size: the interquartile mean of the first arm's runs, relative to that of the second's on each task: a ratio
            where the reading is one, else a difference.
        replicates: how many each task has.
    """

    pair: Pair
    improvement: Estimate
    size: Estimate
    replicates: int


@dataclass(frozen=True, slots=True)
class ReadingOverTasks:
    """A reading over the tasks that it was asked on.

    Attributes:
        asked: its question on the first of the tasks.
        reading: in words that say the target of each task.
        tasks: their names.
        pairs: those of which every task has values.
        lacking: sentences on the tasks that have none of some arm.
    """

    asked: Asked
    reading: Reading
    tasks: tuple[str, ...]
    pairs: tuple[PairOverTasks, ...]
    lacking: tuple[str, ...]


def over_tasks(asked: Sequence[Asked], dossier: Dossier) -> list[ReadingOverTasks]:
    """The readings that were asked on several tasks, in the order of the questions; every task has the same weight."""
    by_question: dict[str, list[Asked]] = {}
    for one in asked:
        if one.task:
            by_question.setdefault(one.question.name, []).append(one)
    several = [group for group in by_question.values() if len(group) >= FEWEST_TASKS]
    return [
        _over(group, over_targets(readings), dossier)
        for group in several
        for readings in zip(*(one.readings for one in group), strict=True)
    ]


def _over(group: Sequence[Asked], reading: Reading, dossier: Dossier) -> ReadingOverTasks:
    values = {one.task: dossier.values.get((one.name, reading.name), pd.DataFrame()) for one in group}
    arms = dict.fromkeys(arm for pair in group[0].pairs for arm in pair)
    lacking = {arm: [task for task, frame in values.items() if not _has(frame, arm)] for arm in arms}
    unasked = [one.task for one in group if one.name in dossier.unasked]
    sentences = [f"it was not asked on {', '.join(unasked)}"] if unasked else []
    for arm, tasks in lacking.items():
        if asked := [task for task in tasks if task not in unasked]:
            sentences.append(f"{arm} has no value on {', '.join(asked)}")
    pairs = []
    for pair in group[0].pairs:
        if any(lacking[arm] for arm in pair):
            continue
        frames = _common({task: frame[[*pair]] for task, frame in values.items()})
        if len(next(iter(frames.values()))):
            pairs.append(_pair(pair, reading, list(frames.values())))
        else:
            sentences.append(f"{pair[0]} and {pair[1]} have no replicate with a value on every task")
    return ReadingOverTasks(group[0], reading, tuple(values), tuple(pairs), tuple(sentences))


def _has(values: pd.DataFrame, arm: str) -> bool:
    return arm in values.columns and bool(values[arm].notna().any())


def _common(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The replicates in which no task lacks a value, so that each task has as many."""
    whole = {task: frame.dropna() for task, frame in frames.items()}
    replicates = sorted(set.intersection(*(set(frame.index) for frame in whole.values())))
    return {task: frame.loc[replicates] for task, frame in whole.items()}


def _pair(pair: Pair, reading: Reading, frames: Sequence[pd.DataFrame]) -> PairOverTasks:
    """Two arms by a table of values per task, with a column for each of them."""
    ours, theirs = ([frame[arm].to_numpy(dtype=float) for frame in frames] for arm in pair)
    generator = np.random.default_rng([SEED, *reading.name.encode()])
    sign = 1.0 if reading.better == "higher" else -1.0
    improvement = probability_of_improvement(
        [sign * our for our in ours], [sign * their for their in theirs], generator
    )
    size = relative_interquartile_mean(ours, theirs, generator, ratio=reading.contrast == "ratio")
    return PairOverTasks(pair, improvement, size, len(frames[0]))
