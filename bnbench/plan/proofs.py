"""Proofs that networks fold, and that compiled code trains them right: made once per machine.

The proof of a large network takes as long as many of its steps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from bnbench.components import BUILT_IN
from bnbench.memoization import finding
from bnbench.native import (
    NotNative,
    NotReady,
    c_compiler,
    can_compile,
    library,
    may_compile,
    prove_native,
    translate_ahead,
)
from bnbench.plan.case import Case
from bnbench.plan.execution import NOT_READY
from bnbench.plan.feasibility import last_batch
from bnbench.plan.size import likely_seconds
from bnbench.spec import as_tree
from bnbench.stacking import prove
from bnbench.user_cache import keep, kept_folder, kept_text, source_hash

BATCH = 8
"""Examples that a proof needs at most."""
PROVED = "proved"
"""Text that is kept of a proof that found nothing against it."""
SUBJECTS = "norms", "models", "training", "stacking", "native", "engines"
"""Folders of the code that a proof is about."""
WORTH_TRANSLATING = 5.0
"""Seconds that torch takes for all runs of a kind, one by one, from which it pays to translate layers that compiled
code does not know: that takes some seconds of a core, and trains a stack several times as fast."""


def folds(case: Case) -> bool:
    """True if a case's network is proved to fold."""
    return unfoldable(case) is None


def unfoldable(case: Case) -> str | None:
    """The reason for which a case's network does not fold; None if it is proved to.

    Answers are kept in ``$XDG_CACHE_HOME/bnbench/proofs`` (``~/.cache`` without it), under the networks' options, the
    shape of the data and the sources that a proof depends on, a plugin's among them.
    """
    batch = min(case.spec.batch_size, BATCH)
    return _answer(_kept(case, batch), lambda: prove(case.build, case.data.shape, batch))


def why_not_native(case: Case, runs: int = 1) -> str | None:
    """The reason for which compiled code does not train a case's network; None if it is proved to do it as torch does.

    Proofs are kept as those of :func:`unfoldable`. Within :func:`only_loaded` the reason is :data:`NOT_READY` where
    something is to be compiled first.

    Args:
        runs: of this kind that there are.
    """
    spec = case.spec
    if case.device.type != "cpu":
        return f"it trains on the CPU, not on {case.device.type}"
    if spec.precision == "bf16" or spec.grad_clip is not None:
        return "it knows neither bf16 nor clipped gradients"
    if library(torch.float64) is None:  # which may be otherwise another time, and is not kept
        return _why_no_library()
    batch = min(spec.batch_size, BATCH)
    translate = runs * likely_seconds(case) >= WORTH_TRANSLATING
    asked = [as_tree(spec)["optim"], spec.label_smoothing, spec.freeze_statistics is None, translate, c_compiler()]
    batches = sorted({spec.batch_size, last_batch(spec, case.data)} - {0})

    def proof() -> str | None:
        return prove_native(
            spec, case.build, case.data.shape, case.data.classes, batch, translate, case.data.label_shape
        )

    def translation() -> str | None:
        try:
            translate_ahead(spec, case.build, case.data.shape, case.data.classes, batches)
        except NotReady:
            raise
        except NotNative as error:
            return str(error)
        return None

    try:
        reason = _answer(_kept(case, batch, asked), proof)
        return reason or _answer(_kept(case, batch, [*asked, batches, spec.precision]), translation)
    except NotReady:
        return NOT_READY


def _why_no_library() -> str:
    if not c_compiler():
        return "there is no C compiler"
    return "there is no C compiler that works" if may_compile() or not can_compile() else NOT_READY


def _answer(kept: Path | None, proof: Callable[[], str | None]) -> str | None:
    """The reason that a proof gives, now or when it was kept; None if it gives none."""
    known = None if kept is None else kept_text(kept)
    if known is not None:
        return None if known == PROVED else known
    is_kept = finding()
    reason = proof()
    if kept is not None:
        keep(kept, reason or PROVED)
        is_kept()
    return reason


def _kept(case: Case, batch: int, also: Sequence[object] = ()) -> Path | None:
    """Where the answer is kept; None if nowhere, or for components that may change while their names stay.

    A plugin's are known by its source, as in the identity of a run.
    """
    spec, folder = case.spec, kept_folder("proofs")
    if folder is None:
        return None
    for group, choice in (("norm", spec.norm), ("model", spec.model)):
        is_built_in = case.components.registries[group][choice.name] is BUILT_IN[group].get(choice.name)
        if not is_built_in and spec.plugin is None:
            return None
    tree = as_tree(spec)
    asked = [
        tree["norm"],
        tree["model"],
        spec.plugin,
        spec.train,
        case.data.shape,
        case.data.classes,
        case.data.label_shape,
        batch,
        *_versions(),
        *also,
    ]
    key = hashlib.sha256(json.dumps([*asked, source_hash(*SUBJECTS)]).encode()).hexdigest()[:24]
    return folder / key


@cache
def _versions() -> tuple[str, ...]:
    return version("torch"), version("torchvision")
