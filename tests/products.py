"""Products of models and norms: all of the shallow models, and of the deep ones a norm for each mechanism.

A deep network adds to a shallow one its residual branches, its depth and its size. None of them sees more of a norm
than the mechanism by which it acts, so the other norms with deep networks are for ``--whole``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest
from _pytest.mark import ParameterSet

from bnbench.norms import NORMS

MECHANISMS = {
    "none": "no layer at all",
    "batch": "running statistics of the batch",
    "group": "statistics of each example",
    "noisy_batch": "numbers that are drawn",
    "ws": "computed weights",
    "spectral": "computed weights with buffers",
    "evonorm_b0": "an activation of its own",
    "fixup": "branches that are rebuilt",
}
SHALLOW = ("mlp", "cnn")
BETWEEN = ("resnet32", "resnet44", "resnet56")
"""They differ in depth alone from ResNets that are tried."""
whole = pytest.mark.whole
long = pytest.mark.long
"""For walks from end to end, and for settings that other tests try alone or in other company: ``make long``."""


def is_tried(model: str, norm: str) -> bool:
    """Tell pairs that are tried without ``--whole``."""
    return model in SHALLOW or (norm in MECHANISMS and model not in BETWEEN)


def products(
    models: Iterable[str],
    norms: Iterable[str] = NORMS,
    deep: Collection[str] = MECHANISMS,
    vectors: Collection[str] = NORMS,
) -> list[ParameterSet]:
    """Pairs of a model and a norm; those of ``--whole`` are marked, and of deep networks all but some norms as long.

    Args:
        vectors: the norms of the MLP that are not marked as long; the CNN has all of them, on images.
    """

    def marks(model: str, norm: str) -> tuple[pytest.MarkDecorator, ...]:
        if not is_tried(model, norm):
            return (whole,)
        few = vectors if model == "mlp" else NORMS if model in SHALLOW else deep
        return () if norm in few else (long,)

    norms = list(norms)
    return [pytest.param(model, norm, marks=marks(model, norm)) for model in models for norm in norms]
