"""Readings at the target of a task: what is read off its runs, and what that is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bnbench.reports.wording import target
from bnbench.study.evaluation_measures import StepsToTarget
from bnbench.study.questions import Reading


def at_target(reading: Reading, value: float) -> Reading:
    """A reading as it is taken on a task that counts as trained at a validation accuracy of ``value``.

    Its words say this target in place of the question's own. Readings of anything else stay as they are.
    """
    if not isinstance(reading.measure, StepsToTarget):
        return reading
    own = target(reading.measure.target)
    return _in_words(replace(reading, measure=StepsToTarget(value)), own, target(value))


def over_targets(readings: Sequence[Reading]) -> Reading:
    """One reading of several tasks, with the words of the first: where targets differ they say all of them."""
    first = readings[0]
    targets = sorted({one.measure.target for one in readings if isinstance(one.measure, StepsToTarget)})
    if len(targets) < 2 or not isinstance(first.measure, StepsToTarget):
        return first
    words = list(map(target, targets))
    return _in_words(first, target(first.measure.target), f"{', '.join(words[:-1])} or {words[-1]}")


def _in_words(reading: Reading, old: str, new: str) -> Reading:
    return replace(reading, asks=reading.asks.replace(old, new), short=reading.short.replace(old, new))
