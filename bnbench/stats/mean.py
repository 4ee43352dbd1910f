"""The mean difference over few replicates: its interval and its tests, which agree with each other.

Two judges: the sign-flip test is exact for symmetric differences, heavy tails included; Student's t, stretched as the
bootstrap says, follows skewed ones. An effect is outside only if both say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.draws import Draws
from bnbench.stats.interval import CONFIDENCE, Interval, fewest_replicates
from bnbench.stats.sign_flip import sign_flip_interval, sign_flip_test
from bnbench.stats.stretched_t import StretchedT, stretched_t
from bnbench.stats.values import Values, finite


@dataclass(frozen=True, slots=True)
class MeanInference:
    """All that is inferred of one mean; :class:`bnbench.stats.evidence.Inference` says what."""

    values_S: Values
    judge: StretchedT
    draws: Draws

    @property
    def estimate(self) -> float:
        """The mean."""
        return self.judge.mean

    def interval(self, confidence: float) -> Interval | None:
        """The smallest interval that holds those of both judges; None with too few replicates."""
        if self.values_S.size < fewest_replicates(1 - confidence):
            return None
        flipped = sign_flip_interval(self.values_S, self.draws, confidence)
        return flipped.hull(self.judge.interval(confidence)) if flipped else None

    def p(self) -> float:
        """Two-sided p that the mean is zero: the larger of both judges'."""
        return max(sign_flip_test(self.values_S, self.draws), self.judge.p())

    def p_above(self, value: float) -> float:
        """One-sided p that the mean is not above a value: the larger of both judges'."""
        return max(sign_flip_test(self.values_S - value, self.draws, "greater"), self.judge.p_above(value))

    def p_below(self, value: float) -> float:
        """One-sided p that the mean is not below a value: the larger of both judges'."""
        return max(sign_flip_test(value - self.values_S, self.draws, "greater"), self.judge.p_below(value))


def infer_mean(values: ArrayLike, draws: Draws) -> MeanInference:
    """Infer the mean of values ``[S]``, finite."""
    values_S = finite(values)
    judge = stretched_t(values_S, draws) if values_S.size > 1 else StretchedT(float(values_S[0]), 0.0, 1, 1.0, 1.0)
    return MeanInference(values_S, judge, draws)


def mean_interval(
    differences: ArrayLike, generator: Generator | Draws, confidence: float = CONFIDENCE
) -> Interval | None:
    """The smallest interval that holds those of the sign-flip test and of the stretched t.

    Toward zero it says whether there is an effect, and goes as far as the tests do; away from zero it is more careful,
    as large effects have long tails. docs/statistics.md has its coverage.

    Args:
        differences: one per replicate ``[S]``, finite; for an interaction the differences of differences.
        generator: draws the resamples.
        confidence: two-sided.

    Returns:
        None with fewer replicates than :func:`fewest_replicates`; a point if all differences are equal.
    """
    draws = generator if isinstance(generator, Draws) else Draws(generator)
    return infer_mean(differences, draws).interval(confidence)
