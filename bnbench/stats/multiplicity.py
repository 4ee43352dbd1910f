"""p-values of several tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.values import Values, present


def holm(p_values: ArrayLike) -> Values:
    """Adjusted p-values ``[T]``: those not above alpha hold with at most alpha risk of even one error (Holm 1979).

    For a scorecard of claims. The i-th smallest of T, times T - i + 1, but not below the one before.

    Args:
        p_values: of T tests, dependent or not ``[T]``.
    """
    p_T = present(p_values)
    order_T = np.argsort(p_T, kind="stable")
    adjusted_T = np.empty_like(p_T)
    adjusted_T[order_T] = np.maximum.accumulate(p_T[order_T] * np.arange(p_T.size, 0, -1))
    return np.minimum(adjusted_T, 1.0)


def benjamini_hochberg(p_values: ArrayLike) -> Values:
    """Adjusted p-values ``[T]``: of those not above alpha at most a share alpha are errors (Benjamini & Hochberg 1995).

    For exploratory grids.

    Args:
        p_values: of T independent or positively dependent tests ``[T]``.
    """
    from scipy import stats  # slow to import

    return np.asarray(stats.false_discovery_control(present(p_values), method="bh"))
