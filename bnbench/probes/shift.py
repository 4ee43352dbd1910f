"""Accuracy on images that are not as those of training (Hendrycks & Dietterich 2019; Schneider et al. 2020)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch

from bnbench.data import SHIFTS, Data, Examples, Shift
from bnbench.probes.pause import WHOLE, Pause, Value
from bnbench.probes.statistics_gap import with_statistics
from bnbench.training.evaluation import evaluate
from bnbench.training.randomness import generator

MOST_EXAMPLES = 1000
"""Validation examples that are looked at."""

STATISTICS: tuple[Literal["running", "batch", "recomputed"], ...] = ("running", "batch", "recomputed")


def shift(pause: Pause) -> list[Value]:
    """Accuracy on shifted validation images with running, batch and re-estimated statistics.

    Names are ``contrast_0.4_running`` and so on, ``clean_running`` for images as they are. ``batch`` takes the
    statistics of the batch that is evaluated, ``recomputed`` those of training images that are shifted in the same way,
    which is adaptation without labels. A norm that keeps no running statistics recomputes them from training images as
    they are. Images are not clipped or rounded after a shift.
    """
    clean = _fewer(pause)
    values = _accuracies(pause, "clean", clean, clean)
    for name, change in SHIFTS.items():
        values += _accuracies(pause, name, _shifted(clean, change, generator(pause.seed, "noise")), clean)
    return values


def _accuracies(pause: Pause, label: str, data: Data, clean: Data) -> list[Value]:
    """The accuracy on the validation examples with each kind of statistics.

    Args:
        clean: from whose training examples a norm without adaptation has its statistics.
    """
    values = []
    for statistics in STATISTICS:
        source = clean if statistics == "running" else data
        _, accuracy = evaluate(with_statistics(pause.spec, statistics), pause.network, source, data.validation)
        values.append(Value(WHOLE, f"{label}_{statistics}", accuracy))
    return values


def _fewer(pause: Pause) -> Data:
    """At most MOST_EXAMPLES for validation, and as many for training as re-estimation takes, drawn once for a run."""
    data, spec = pause.data, pause.spec
    count = spec.batch_size * spec.evaluate.recompute_batches
    train = _drawn(data.train, count, generator(pause.seed, "train"))
    return dataclasses.replace(
        data, train=train, validation=_drawn(data.validation, MOST_EXAMPLES, generator(pause.seed, "validation"))
    )


def _drawn(examples: Examples, count: int, rng: torch.Generator) -> Examples:
    chosen = torch.randperm(len(examples), generator=rng)[:count].to(examples.y.device)
    return examples[chosen]


def _shifted(data: Data, change: Shift, rng: torch.Generator) -> Data:
    """The data with its images changed, in training and validation."""
    train, validation = (
        Examples(change(part.x.float(), data.std, rng), part.y) for part in (data.train, data.validation)
    )
    return dataclasses.replace(data, train=train, validation=validation)
