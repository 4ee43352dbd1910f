"""Datasets of features or text, which are no images, and the models that take them."""

from __future__ import annotations

from bnbench.components import Components
from bnbench.spec import RunSpec

VECTORS = ("wine", "breast_cancer", "covtype", "csv")
"""Datasets whose examples are vectors."""
TAKES_VECTORS = ("mlp",)
"""Built-in models that need no neighborhood of pixels; a plugin's model may take what it likes."""
TEXTS = ("text",)
"""Datasets whose examples are characters, each with a label."""
TAKES_TEXTS = ("gpt",)
"""Built-in models that take them, and nothing else."""


def unfit_data(spec: RunSpec, components: Components) -> str | None:
    """Why a model or a probe refuses a dataset, if that has not what it takes.

    A plugin's model may take what it likes, and a plugin's dataset have what it likes.
    """
    if components.uses_plugin(model=spec.model.name) or components.uses_plugin(dataset=spec.dataset.name):
        return None if spec.dataset.name not in TEXTS else _unfit_probe(spec)
    has_text, takes_text = spec.dataset.name in TEXTS, spec.model.name in TAKES_TEXTS
    if has_text != takes_text:
        return _no_text(spec) if takes_text else f"{_has(spec, 'text', 'images or features')}; {_take(TAKES_TEXTS)}"
    if has_text:
        return _unfit_probe(spec)
    as_features = spec.dataset.name == "npz" and spec.dataset.options.get("layout") == "features"
    if not (spec.dataset.name in VECTORS or as_features) or spec.model.name in TAKES_VECTORS:
        return None
    return f"{_has(spec, 'features', 'images')}; {_take(TAKES_VECTORS)}"


def _no_text(spec: RunSpec) -> str:
    datasets = " or ".join(f"dataset={name}" for name in TEXTS)
    return f"model={spec.model.name} needs text, which dataset={spec.dataset.name} is not; take {datasets}"


def _has(spec: RunSpec, kind: str, needed: str) -> str:
    return f"dataset={spec.dataset.name} has {kind}, not {needed}, which model={spec.model.name} needs"


def _take(models: tuple[str, ...]) -> str:
    return f"take {' or '.join(f'model={name}' for name in models)}"


def _unfit_probe(spec: RunSpec) -> str | None:
    """Why a probe of a spec cannot be taken of text."""
    if "shift" not in spec.probes:
        return None
    return f"probes=[shift]: changes images, and dataset={spec.dataset.name} has text; leave it out"
