"""The input of the statistics: one-dimensional arrays of float64 without missing values."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values: TypeAlias = NDArray[np.float64]


def present(values: ArrayLike) -> Values:
    """The values ``[S]``, which may be infinite.

    Raises:
        ValueError: no values, more than one axis, or a NaN.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"values must have one axis and at least one element, got shape {array.shape}")
    if missing := int(np.isnan(array).sum()):
        raise ValueError(f"values must not be NaN, {missing} of {array.size} are: decide what a missing value means")
    return array


def finite(values: ArrayLike) -> Values:
    """The values ``[S]``, none of them infinite.

    Raises:
        ValueError: as for :func:`present`, or an infinite value.
    """
    array = present(values)
    if infinite := int(np.isinf(array).sum()):
        raise ValueError(f"values must be finite, {infinite} of {array.size} are not: take a median instead")
    return array
