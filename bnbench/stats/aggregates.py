"""Aggregates over tasks, with stratified bootstrap intervals (Agarwal et al. 2021).

A task is a (model, dataset) cell; its runs are resampled within it, so that every task keeps its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Estimate, Interval
from bnbench.stats.values import Values, finite, present

RESAMPLES = 2_000
TRIMMED = 0.25
"""Share of runs that an interquartile mean cuts off at each end."""
FEWEST = 3
"""Runs of every task that an interval takes; fewer hardly show how runs of a task differ."""


def interquartile_mean(scores: Sequence[ArrayLike], generator: Generator, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of the middle half of all runs of all tasks, a quarter cut off at each end (section 4.3).

    Args:
        scores: per task, one score per run ``[S]``, finite and comparable between tasks.
        generator: draws the resamples.
        confidence: two-sided.

    Returns:
        No interval if a task has fewer than three runs.
    """
    from scipy import stats  # slow to import

    tasks = [finite(task) for task in scores]
    resamples_BR = np.concatenate([_resamples(task_S, generator) for task_S in tasks], axis=1)
    value = float(stats.trim_mean(np.concatenate(tasks), TRIMMED))
    interval = _percentiles(stats.trim_mean(resamples_BR, TRIMMED, axis=1), confidence)
    return Estimate(value, interval if _enough(tasks) else None)


def relative_interquartile_mean(
    ours: Sequence[ArrayLike],
    theirs: Sequence[ArrayLike],
    generator: Generator,
    *,
    ratio: bool,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Interquartile mean of our runs of all tasks, each relative to the interquartile mean of theirs on its task.

    That makes tasks comparable. Runs of both sides are resampled. Infinite values are runs that never got there: one
    against another is no difference.

    Args:
        ours: per task, one value per run ``[S]``; each task should have as many, to have the same weight.
        theirs: per task in the same order.
        generator: draws the resamples.
        ratio: ours over theirs in place of ours less theirs.
        confidence: two-sided.

    Returns:
        No interval if a task has fewer than three runs on either side.
    """
    pairs = [(present(our_S), present(their_S)) for our_S, their_S in zip(ours, theirs, strict=True)]
    value = _relative([(our_S[None], their_S[None]) for our_S, their_S in pairs], ratio)[0]
    drawn = [(_resamples(our_S, generator), _resamples(their_S, generator)) for our_S, their_S in pairs]
    interval = _percentiles(_relative(drawn, ratio), confidence)
    return Estimate(float(value), interval if all(map(_enough, pairs)) else None)


def _relative(pairs: Iterable[tuple[Values, Values]], ratio: bool) -> Values:
    """The relative interquartile mean of each row ``[B]`` of ours ``[B, S]`` and theirs ``[B, R]`` by task."""
    from scipy import stats

    scores = []
    for ours_BS, theirs_BR in pairs:
        reference_B1 = np.asarray(stats.trim_mean(theirs_BR, TRIMMED, axis=1))[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            score_BS = ours_BS / reference_B1 if ratio else ours_BS - reference_B1
        scores.append(np.where(ours_BS == reference_B1, 1.0 if ratio else 0.0, score_BS))
    return np.asarray(stats.trim_mean(np.concatenate(scores, axis=1), TRIMMED, axis=1))


def probability_of_improvement(
    ours: Sequence[ArrayLike], theirs: Sequence[ArrayLike], generator: Generator, confidence: float = CONFIDENCE
) -> Estimate:
    """Probability that a run of ours scores higher than one of theirs on a task drawn at random (section 4.3).

    Equal scores count half. Runs are not paired.

    Args:
        ours: per task, one score per run ``[S]``, which may be infinite.
        theirs: per task in the same order; the number of runs may differ.
        generator: draws the resamples.
        confidence: two-sided.

    Returns:
        No interval if a task has fewer than three runs on either side.
    """
    pairs = [(present(our_S), present(their_S)) for our_S, their_S in zip(ours, theirs, strict=True)]
    value = np.mean([_share_higher(our_S[None], their_S[None]) for our_S, their_S in pairs])
    resampled_TB = [
        _share_higher(_resamples(our_S, generator), _resamples(their_S, generator)) for our_S, their_S in pairs
    ]
    interval = _percentiles(np.mean(resampled_TB, axis=0), confidence)
    return Estimate(float(value), interval if all(map(_enough, pairs)) else None)


def _enough(samples: Iterable[Values]) -> bool:
    return all(sample_S.size >= FEWEST for sample_S in samples)


def _resamples(values_S: Values, generator: Generator) -> Values:
    """Drawn with replacement ``[B, S]``."""
    return values_S[generator.integers(values_S.size, size=(RESAMPLES, values_S.size))]


def _share_higher(ours_BS: Values, theirs_BR: Values) -> Values:
    """Share of the pairs in which ours is higher ``[B]``; Mann & Whitney's U over the number of pairs."""
    ours_BS1, theirs_B1R = ours_BS[:, :, None], theirs_BR[:, None, :]
    higher_B = (ours_BS1 > theirs_B1R).mean(axis=(1, 2)) + (ours_BS1 == theirs_B1R).mean(axis=(1, 2)) / 2
    return np.asarray(higher_B)


def _percentiles(values_B: Values, confidence: float) -> Interval:
    """Percentiles, by linear interpolation where all values are finite; else values beyond which no more lie."""
    ends = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if np.isfinite(values_B).all():
        low, high = np.quantile(values_B, ends)
    else:
        first, last = ends * (values_B.size - 1)
        low, high = np.sort(values_B)[[math.floor(first), math.ceil(last)]]
    return Interval(float(low), float(high))
