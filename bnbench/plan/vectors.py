"""Datasets of features or text, which are no images, and the models that take them."""

from __future__ import annotations

from bnbench.components import Components
from bnbench.schema import built_in
from bnbench.spec import Choice, RunSpec

TAKES_VECTORS = ("mlp",)
"""Built-in models that need no neighborhood of pixels; a plugin's model may take what it likes."""
TAKES_TEXTS = ("gpt",)
"""Built-in models that take characters, each with a label, and nothing else."""


def unfit_data(spec: RunSpec, components: Components) -> str | None:
    """Why a model or a probe refuses a dataset, if that has not what it takes.

    A plugin's model may take what it likes, and a plugin's dataset have what it likes.
    """
    kind = _kind(spec.dataset)
    if components.uses_plugin(model=spec.model.name) or components.uses_plugin(dataset=spec.dataset.name):
        return None if kind != "text" else _unfit_probe(spec)
    takes_text = spec.model.name in TAKES_TEXTS
    if (kind == "text") != takes_text:
        return _no_text(spec) if takes_text else f"{_has(spec, 'text', 'images or features')}; {_take(TAKES_TEXTS)}"
    if kind == "text":
        return _unfit_probe(spec)
    if kind != "features" or spec.model.name in TAKES_VECTORS:
        return None
    return f"{_has(spec, 'features', 'images')}; {_take(TAKES_VECTORS)}"


def _kind(choice: Choice) -> str:
    """What an example is; nothing is known of a plugin's."""
    if choice.name == "npz" and choice.options.get("layout") == "features":
        return "features"
    facts = built_in().datasets.get(choice.name)
    return "" if facts is None else facts.kind


def _no_text(spec: RunSpec) -> str:
    texts = (name for name, facts in built_in().datasets.items() if facts.kind == "text")
    datasets = " or ".join(f"dataset={name}" for name in texts)
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
