"""Two one-sided tests: is a difference smaller than the smallest effect of interest (Schuirmann 1987)?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.values import Values, finite, present


def one_sided_t(differences: ArrayLike) -> float:
    """p of Student's paired t test that the mean difference is above zero.

    Args:
        differences: one per seed ``[S]``, finite. Without spread p is 0 or 1; one difference proves nothing: 1.
    """
    from scipy import stats  # slow to import

    differences_S = finite(differences)
    if differences_S.size < 2:
        return 1.0
    if np.ptp(differences_S) == 0:
        return 0.0 if differences_S[0] > 0 else 1.0
    return float(stats.ttest_1samp(differences_S, 0.0, alternative="greater").pvalue)


def equivalence_test(
    differences: ArrayLike, margin: float, one_sided: Callable[[Values], float] = one_sided_t
) -> float:
    """p of the two one-sided tests: the larger of those that the effect is above ``-margin`` and below ``margin``.

    Not above alpha exactly if the interval of the effect at confidence ``1 - 2 alpha`` lies within the margin.

    Args:
        differences: one per seed ``[S]``.
        margin: the smallest effect of interest, in the unit of the differences; above zero.
        one_sided: p that differences ``[S]`` are above zero: a paired t test, a sign-flip test or a sign test.
    """
    differences_S = present(differences)
    return max(one_sided(differences_S + margin), one_sided(margin - differences_S))
