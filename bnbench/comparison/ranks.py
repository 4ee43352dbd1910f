"""The place of each arm among all, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.stats import ALPHA, fewest_replicates
from bnbench.study.questions import Reading

RESAMPLES = 2_000
PLACED = 0.5
"""Share of the replicates in which an arm must have a value."""
SEED = 0
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of an arm, 1 for the best; arms with equal values share the mean of their places.

    Attributes:
        low: the lower end of its 95% interval, from resampled replicates; NaN of too few for one.
        high: the upper end.
        n: replicates in which all arms have a value.
    """

    place: float
    low: float
    high: float
    n: int


def ranks(values: pd.DataFrame, reading: Reading) -> dict[str, Rank]:
    """The ranks of the arms of a question, over the replicates in which all of them have a value.

    An arm that has none in most replicates has no place, so that the others have theirs.

    Args:
        values: as :func:`replicate_values`.
    """
    whole = values.loc[:, values.notna().mean() >= PLACED].dropna()
    if whole.empty or whole.shape[1] < 2:
        return {}
    median = reading.measure.estimand == "median"
    return rank_columns(whole, higher_is_better=reading.better == "higher", median=median, seed=SEED)


def rank_columns(values: pd.DataFrame, *, higher_is_better: bool, median: bool, seed: int) -> dict[str, Rank]:
    """The ranks of columns by their mean or median.

    Args:
        values: a row per replicate, a column per arm; none is missing.
        seed: of the resamples.
    """
    values_SA = (-1.0 if higher_is_better else 1.0) * values.to_numpy(dtype=float)
    picks_RS = np.random.default_rng(seed).integers(len(values_SA), size=(RESAMPLES, len(values_SA)))
    centre = np.median if median else np.mean
    places_A = _places(np.asarray(centre(values_SA, axis=0))[None])[0]
    places_RA = _places(np.asarray(centre(values_SA[picks_RS], axis=1)))
    low_A, high_A = np.quantile(places_RA, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    if (n := len(values_SA)) < fewest_replicates(ALPHA):
        low_A = high_A = np.full(len(places_A), np.nan)
    return {
        str(arm): Rank(float(place), float(low), float(high), n)
        for arm, place, low, high in zip(values.columns, places_A, low_A, high_A, strict=True)
    }


def _places(centres_RA: Values) -> Values:
    """Places from the lowest value on, 1 first; equal ones share the mean of theirs."""
    below = (centres_RA[:, None, :] < centres_RA[:, :, None]).sum(axis=2)
    equal = (centres_RA[:, None, :] == centres_RA[:, :, None]).sum(axis=2)
    return np.asarray(below + (equal + 1) / 2, dtype=float)
