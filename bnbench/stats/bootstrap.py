"""Bootstrap intervals of one statistic of one sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Interval, seeds_needed
from bnbench.stats.values import Values, finite

RESAMPLES = 9_999
DEGENERATE = 1e-9
"""Share of the sample's standard deviation below which a resample has none."""

STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}


def bca_interval(
    values: ArrayLike,
    generator: Generator,
    statistic: Literal["mean", "median"] = "mean",
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """The bias-corrected and accelerated bootstrap interval (Efron 1987).

    Its coverage is below its confidence in small samples: 90% in place of 95% for the mean of ten normal values.

    Args:
        values: ``[S]``, finite; for an interaction the differences of differences per seed.
        generator: draws the resamples.
        statistic: of the values.
        confidence: two-sided.

    Returns:
        None with fewer values than :func:`seeds_needed`; a point if all values are equal. Where leaving out a value
        never changes the statistic there is no acceleration, and the limits are percentiles.
    """
    from scipy import stats  # slow to import

    values_S = finite(values)
    if values_S.size < seeds_needed(1 - confidence):
        return None
    if np.ptp(values_S) == 0:
        return Interval(float(values_S[0]), float(values_S[0]))
    reckon = STATISTICS[statistic]
    left_out_S = [reckon(np.delete(values_S, at)) for at in range(values_S.size)]
    limits = stats.bootstrap(
        (values_S,),
        reckon,
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        method="percentile" if np.ptp(left_out_S) == 0 else "BCa",
        rng=generator,
    ).confidence_interval
    return Interval(float(limits.low), float(limits.high))


def studentized_interval(values: ArrayLike, generator: Generator, confidence: float = CONFIDENCE) -> Interval | None:
    """The studentized bootstrap interval of a mean, or bootstrap-t (Efron & Tibshirani 1993, chapter 12).

    Of the usual intervals the one that follows skewness best in small samples. Resamples without spread have no t and
    are left out.

    Args:
        values: ``[S]``, finite.
        generator: draws the resamples.
        confidence: two-sided.

    Returns:
        None with fewer values than :func:`seeds_needed`; a point if all values are equal.
    """
    values_S = finite(values)
    if values_S.size < seeds_needed(1 - confidence):
        return None
    mean, error = float(values_S.mean()), _standard_error(values_S)
    resamples_BS = values_S[generator.integers(values_S.size, size=(RESAMPLES, values_S.size))]
    errors_B = _standard_error(resamples_BS)
    spread_B = errors_B > DEGENERATE * error
    if np.ptp(values_S) == 0 or not spread_B.any():
        return Interval(float(values_S.min()), float(values_S.max()))
    t_B = (resamples_BS.mean(axis=1)[spread_B] - mean) / errors_B[spread_B]
    low_t, high_t = np.quantile(t_B, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(mean - high_t * error), float(mean - low_t * error))


def _standard_error(values: Values) -> Values:
    """Standard error of the mean over the last axis."""
    return np.asarray(values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1]))
