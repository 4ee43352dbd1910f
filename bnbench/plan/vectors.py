"""Datasets of features that are no images, and the models that take them."""

from __future__ import annotations

from bnbench.components import Components
from bnbench.spec import RunSpec

VECTORS = ("wine", "breast_cancer", "csv")
"""Datasets whose examples are vectors."""
TAKES_VECTORS = ("mlp",)
"""Built-in models that need no neighborhood of pixels; a plugin's model may take what it likes."""


def needs_images(spec: RunSpec, components: Components) -> str | None:
    """Why a model refuses a dataset, if that has vectors and the model takes images only."""
    as_features = spec.dataset.name == "npz" and spec.dataset.options.get("layout") == "features"
    if not (spec.dataset.name in VECTORS or as_features) or spec.model.name in TAKES_VECTORS:
        return None
    if components.uses_plugin(model=spec.model.name):
        return None
    model, takes = f"model={spec.model.name}", " or ".join(f"model={name}" for name in TAKES_VECTORS)
    return f"dataset={spec.dataset.name} has features, not images, which {model} needs; take {takes}"
