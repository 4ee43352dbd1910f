"""The size of a network, and the time that a run of it takes alone, roughly."""

from __future__ import annotations

from bnbench.error_origin import is_bug
from bnbench.plan.case import Case

SPLIT_BYTES = 2**27
"""Bytes of images that a stack may hold if each split has its own; what is joined of them takes as much again."""
STEP_SECONDS, VALUE_SECONDS = 4e-4, 1e-8
"""Cost of a step of a run alone on a core whatever it holds, and of each value that its layers put out, roughly."""


def seconds_alone(case: Case) -> float:
    """Seconds that torch takes for a run alone on a core, roughly."""
    return case.timeline.total * step_alone(case)


def step_alone(case: Case) -> float:
    """Seconds that torch takes for a step of a run alone on a core, roughly."""
    return STEP_SECONDS + lane_bytes(case) / 4 * VALUE_SECONDS


def likely_seconds(case: Case) -> float:
    """Seconds as :func:`seconds_alone`; 0 if the case fails, as its own run will."""
    try:
        return seconds_alone(case)
    except (Exception, SystemExit) as error:
        if is_bug(error, case.spec.plugin is not None):
            raise
        return 0.0


def most_splits(case: Case) -> int | None:
    """The most splits whose images a stack may hold; None for any, as splits share images that enter no domain."""
    if not case.spec.domains:
        return None
    images = sum(part.nbytes for part in (case.data.train, case.data.validation, case.data.test))
    return max(1, SPLIT_BYTES // images)


def least_bytes(case: Case) -> int:
    """Bytes without which a GPU cannot train a run: examples, weights and gradients, and half of a step's outputs.

    The other half may be written over the first.
    """
    examples = sum(part.nbytes for part in (case.data.train, case.data.validation, case.data.test))
    weights = sum(parameter.nbytes for parameter in case.build().parameters())
    return examples + 2 * weights + lane_bytes(case) // 2


def lane_bytes(case: Case) -> int:
    """Bytes of what the layers of a network put out for a batch."""
    return 4 * case.spec.batch_size * case.activations
