"""The evidence of one comparison: effect, interval and the p-values of difference and equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.equivalence import equivalence_test
from bnbench.stats.interval import Interval
from bnbench.stats.mean import mean_interval
from bnbench.stats.median import median_interval, median_with_misses, sign_test
from bnbench.stats.sign_flip import sign_flip_test
from bnbench.stats.values import finite

Estimand: TypeAlias = Literal["mean", "median"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """An effect and its uncertainty.

    Attributes:
        effect: mean or median difference, in the unit of the differences.
        interval: of the effect, at confidence ``1 - alpha``; None with too few seeds.
        p: that there is no difference, two-sided.
        equivalence_p: that the difference is at least the smallest effect of interest, in either direction.
    """

    effect: float
    interval: Interval | None
    p: float
    equivalence_p: float


NO_EVIDENCE = Evidence(float("nan"), None, 1.0, 1.0)


def gather_evidence(
    differences: ArrayLike, smallest_effect: float, generator: Generator, alpha: float, estimand: Estimand
) -> Evidence:
    """Weigh the differences of one comparison.

    Args:
        differences: one per seed ``[S]``; infinite ones only for a median.
        smallest_effect: margin of the equivalence test.
        generator: draws patterns and resamples.
        alpha: one minus the confidence of the interval.
        estimand: ``mean`` with sign-flip tests, ``median`` with sign tests.
    """
    if estimand == "median":
        interval = median_interval(differences, 1 - alpha)
        one_sided = partial(sign_test, alternative="greater")
        equivalence_p = equivalence_test(differences, smallest_effect, one_sided)
        return Evidence(median_with_misses(differences), interval, sign_test(differences), equivalence_p)
    one_sided = partial(sign_flip_test, generator=generator, alternative="greater")
    return Evidence(
        float(finite(differences).mean()),
        mean_interval(differences, generator, 1 - alpha),
        sign_flip_test(differences, generator),
        equivalence_test(differences, smallest_effect, one_sided),
    )
