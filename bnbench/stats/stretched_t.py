"""Student's t, stretched on each side as the bootstrap says: the second judge of a mean, which follows skewness.

The studentized bootstrap (Efron & Tibshirani 1993, chapter 12) says how t is distributed for skewed values, but its
far tails rest on few and odd resamples. So only its quantiles at a moderate level are used: how much further out they
are than Student's stretches Student's t, which has smooth tails for p-values of any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bnbench.stats.draws import Draws
from bnbench.stats.interval import Interval
from bnbench.stats.values import Values

NEAR = 0.05
"""Two-sided level of the quantiles that stretch t toward zero: it decides whether there is an effect."""
FAR = 0.001
"""The same away from zero: it decides how large the effect may be, where long tails are and power is not at stake."""
DEGENERATE = 1e-6
"""Share of the sample's standard deviation below which a resample has none."""


@dataclass(frozen=True, slots=True)
class StretchedT:
    """The t of one sample's mean.

    Attributes:
        mean: of the values.
        error: its standard error.
        freedom: degrees of freedom.
        below: stretch of the limit below the mean; 1 where t is Student's.
        above: the same of the limit above.
    """

    mean: float
    error: float
    freedom: int
    below: float
    above: float

    def p(self) -> float:
        """Two-sided p that the mean is zero."""
        return min(2 * min(self.p_above(0.0), self.p_below(0.0)), 1.0)

    def p_above(self, value: float) -> float:
        """One-sided p that the mean is not above a value."""
        return self._tail(self.mean - value, self.below)

    def p_below(self, value: float) -> float:
        """One-sided p that the mean is not below a value."""
        return self._tail(value - self.mean, self.above)

    def _tail(self, distance: float, stretch: float) -> float:
        """The share of the stretched t that is at least so far out."""
        from scipy import special  # slow to import

        scale = self.error * stretch
        if scale <= 0:
            return 0.0 if distance > 0 else 1.0
        return float(special.stdtr(self.freedom, -distance / scale))

    def interval(self, confidence: float) -> Interval:
        """The two-sided interval of the mean."""
        from scipy import special  # slow to import

        reach = float(special.stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return Interval(self.mean - self.below * reach, self.mean + self.above * reach)


def stretched_t(values_S: Values, draws: Draws) -> StretchedT:
    """The t of the mean of values ``[S]``, of which there are at least two; finite."""
    n = values_S.size
    if np.ptp(values_S) == 0:
        return StretchedT(float(values_S[0]), 0.0, n - 1, 1.0, 1.0)
    mean = float(values_S.mean())
    error = float(values_S.std(ddof=1)) / math.sqrt(n)
    t_B = _bootstrap_t(values_S - mean, draws.counts_BS(n))
    if not t_B.size:
        return StretchedT(mean, error, n - 1, 1.0, 1.0)
    levels_below = [NEAR] * (mean >= 0) + [FAR] * (mean <= 0)  # both limits of a mean at zero are as careful
    levels_above = [NEAR] * (mean <= 0) + [FAR] * (mean >= 0)
    below = max(_stretch(t_B, n - 1, level) for level in levels_below)
    above = max(_stretch(-t_B, n - 1, level) for level in levels_above)
    return StretchedT(mean, error, n - 1, below, above)


def stretch_toward_zero(centred_S: Values, draws: Draws) -> float:
    """The stretch that decides whether values have a mean above zero, of values less their mean ``[S]``."""
    return _stretch(_bootstrap_t(centred_S, draws.counts_BS(centred_S.size)), centred_S.size - 1, NEAR)


def _bootstrap_t(centred_S: Values, counts_BS: Values) -> Values:
    """The t of each resample that has spread."""
    n = centred_S.size
    means_B = counts_BS @ centred_S / n
    squares_B = counts_BS @ centred_S**2 / n
    variances_B = np.maximum(squares_B - means_B**2, 0) / (n - 1)
    spread_B = variances_B > (DEGENERATE * centred_S.std()) ** 2
    return np.asarray(means_B[spread_B] / np.sqrt(variances_B[spread_B]))


def _stretch(t_B: Values, freedom: int, level: float) -> float:
    """The upper quantile of t in Student's quantiles; at least zero."""
    from scipy import special  # slow to import

    return max(float(np.quantile(t_B, 1 - level / 2) / special.stdtrit(freedom, 1 - level / 2)), 0.0)
