"""The schedules of the learning rate, a dataclass of settings for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """One learning rate.

    Attributes:
        warmup: share of all steps with a linear rise from zero.
    """

    warmup: float


@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine from the learning rate to ``final`` times it (Loshchilov & Hutter 2017, without restarts).

    Attributes:
        warmup: share of all steps with a linear rise from zero.
        final: share of the learning rate at the end.
    """

    warmup: float
    final: float


@dataclass(frozen=True, slots=True)
class Step:
    """Multiply the learning rate by ``gamma`` at each of ``milestones``.

    Attributes:
        warmup: share of all steps with a linear rise from zero.
        milestones: shares of all steps.
        gamma: factor of the learning rate.
    """

    warmup: float
    milestones: tuple[float, ...]
    gamma: float


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Rise linearly from ``start`` times the learning rate to all of it, then fall to ``final`` times it.

    The rise and the fall are linear (Smith & Topin 2018).

    Attributes:
        start: share of the learning rate at the first step.
        peak: share of all steps at which all of it is reached.
        final: share of the learning rate at the end.
    """

    start: float
    peak: float
    final: float


Schedule = Constant | Cosine | Step | OneCycle
SCHEDULES: dict[str, type[Constant] | type[Cosine] | type[Step] | type[OneCycle]] = {
    "constant": Constant,
    "cosine": Cosine,
    "step": Step,
    "onecycle": OneCycle,
}
