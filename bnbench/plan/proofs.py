"""Whether networks fold, and whether compiled code trains them right: proved once per machine.

The proof of a large network takes as long as many of its steps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from bnbench.components import BUILT_IN, Components
from bnbench.data import Data
from bnbench.kept import keep, kept_folder, kept_text
from bnbench.native import c_compiler, library, prove_native
from bnbench.plan.size import seconds_alone
from bnbench.spec import RunSpec, as_tree
from bnbench.stacking import prove

BATCH = 8
"""Examples that a proof needs at most."""
PROVED = "proved"
"""What is kept of a proof that found nothing against it."""
WORTH_TRANSLATING = 0.5
"""Seconds that torch takes for a run alone from which it pays to translate layers that compiled code does not know."""


def folds(spec: RunSpec, components: Components, data: Data) -> bool:
    """Whether a spec's network is proved to fold."""
    return unfoldable(spec, components, data) is None


def unfoldable(spec: RunSpec, components: Components, data: Data) -> str | None:
    """Why a spec's network does not fold; None if it is proved to.

    Answers about built-in components are kept in ``$XDG_CACHE_HOME/bnbench/proofs`` (``~/.cache`` without it), under
    the networks' options, the shape of the data and the sources that a proof depends on.
    """
    batch = min(spec.batch_size, BATCH)
    return _answer(
        _kept(spec, components, data, batch), lambda: prove(_builder(spec, components, data), data.shape, batch)
    )


def trains_natively(spec: RunSpec, components: Components, data: Data, device: torch.device) -> bool:
    """Whether compiled code is proved to train a spec's network on a device as torch does."""
    return why_not_native(spec, components, data, device) is None


def why_not_native(spec: RunSpec, components: Components, data: Data, device: torch.device) -> str | None:
    """Why compiled code does not train a spec's network on a device; None if it is proved to do it as torch does.

    Proofs are kept as those of :func:`unfoldable`.
    """
    if device.type != "cpu":
        return f"it trains on the CPU, not on {device.type}"
    if spec.precision == "bf16" or spec.grad_clip is not None:
        return "it knows neither bf16 nor clipped gradients"
    batch = min(spec.batch_size, BATCH)
    translate = _is_long(spec, components, data)
    own = [as_tree(spec)["optim"], spec.label_smoothing, spec.freeze_statistics is None, translate, c_compiler()]
    if library(torch.float64) is None:  # which may be otherwise another time, and is not kept
        return "there is no C compiler that works" if c_compiler() else "there is no C compiler"

    def proof() -> str | None:
        return prove_native(spec, _builder(spec, components, data), data.shape, data.classes, batch, translate)

    return _answer(_kept(spec, components, data, batch, own), proof)


def _is_long(spec: RunSpec, components: Components, data: Data) -> bool:
    """Whether a run alone takes torch so long that translating layers pays; it may also fail."""
    try:
        return seconds_alone(spec, components, data) >= WORTH_TRANSLATING
    except (Exception, SystemExit):
        return False


def _builder(spec: RunSpec, components: Components, data: Data) -> Callable[[int], nn.Module]:
    """What makes a spec's network from a seed."""

    def build(seed: int) -> nn.Module:
        return components.build(replace(spec, seed=seed), data)

    return build


def _answer(kept: Path | None, proof: Callable[[], str | None]) -> str | None:
    """The reason that a proof gives, now or when it was kept; None if it gives none."""
    known = None if kept is None else kept_text(kept)
    if known is not None:
        return None if known == PROVED else known
    reason = proof()
    if kept is not None:
        keep(kept, reason or PROVED)
    return reason


def _kept(spec: RunSpec, components: Components, data: Data, batch: int, also: Sequence[object] = ()) -> Path | None:
    """Where the answer is kept; None if nowhere, or for components that may change while their names stay."""
    folder = kept_folder("proofs")
    if folder is None or spec.plugin is not None:
        return None
    for group, choice in (("norm", spec.norm), ("model", spec.model)):
        if components.registries[group][choice.name] is not BUILT_IN[group].get(choice.name):
            return None
    tree = as_tree(spec)
    asked = [
        tree["norm"],
        tree["model"],
        spec.train,
        data.shape,
        data.classes,
        batch,
        version("torch"),
        version("torchvision"),
        *also,
    ]
    key = hashlib.sha256(json.dumps([*asked, _sources()]).encode()).hexdigest()[:24]
    return folder / key


@cache
def _sources() -> str:
    """A hash of the code that a proof is about."""
    folder = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for part in ("norms", "models", "training", "stacking", "native", "engines"):
        for path in sorted(path for suffix in ("py", "c", "h") for path in (folder / part).rglob(f"*.{suffix}")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
