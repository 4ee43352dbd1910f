"""The mean of bounded values, with an interval that holds for every distribution and every number of values.

Waudby-Smith & Ramdas 2023, *Estimating means of bounded random variables by betting*, section 4: whoever bets against
a wrong mean grows rich, and one who bets against the true mean does so with little probability.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Interval
from bnbench.stats.values import Values, finite

STEPS = 2_000
"""Means that are tried between the bounds."""
MOST = 0.75
"""Largest share of the capital that a bet may lose (the paper's c)."""


def betting_interval(values: ArrayLike, low: float, high: float, confidence: float = CONFIDENCE) -> Interval:
    """The hedged betting interval of a mean: all means against which no bet made ``1 / (1 - confidence)`` of one.

    Args:
        values: ``[S]``, in the order in which they came; independent, with one mean.
        low: smallest value that is possible.
        high: largest value that is possible.
        confidence: two-sided; kept exactly, for any distribution.

    Raises:
        ValueError: a value beyond the bounds.
    """
    values_S = finite(values)
    if values_S.min() < low or values_S.max() > high:
        raise ValueError(f"values must be from {low:g} to {high:g}, got {values_S.min():g} to {values_S.max():g}")
    shares_S1 = ((values_S - low) / (high - low))[:, None]
    means_M = np.linspace(0, 1, STEPS + 1)
    bets_S1 = _bets(shares_S1[:, 0], 1 - confidence)[:, None]
    with np.errstate(divide="ignore"):
        up_SM = np.minimum(bets_S1, MOST / means_M)
        down_SM = np.minimum(bets_S1, MOST / (1 - means_M))
    capitals = [np.log1p(up_SM * (shares_S1 - means_M)), np.log1p(-down_SM * (shares_S1 - means_M))]
    richest_M = np.max([capital_SM.cumsum(axis=0).max(axis=0) for capital_SM in capitals], axis=0)
    possible_M = means_M[richest_M - math.log(2) < math.log(1 / (1 - confidence))]
    if not possible_M.size:
        possible_M = shares_S1.mean(axis=0)
    limits = np.clip([possible_M.min() - 1 / STEPS, possible_M.max() + 1 / STEPS], 0, 1)
    return Interval(*(float(low + (high - low) * limit) for limit in limits))


def _bets(shares_S: Values, alpha: float) -> Values:
    """The size of each bet, which knows only the values before it (the paper's predictable plug-in)."""
    counts_S = np.arange(1, shares_S.size + 1)
    means_S = (0.5 + shares_S.cumsum()) / (counts_S + 1)
    variances_S = (0.25 + ((shares_S - means_S) ** 2).cumsum()) / (counts_S + 1)
    before_S = np.concatenate([[0.25], variances_S[:-1]])
    return np.asarray(np.sqrt(2 * math.log(2 / alpha) / (shares_S.size * before_S)))
