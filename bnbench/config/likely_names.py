"""Keys and names that others have for ours, and those that a misspelt one may stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from bnbench.config.compose import GROUPS
from bnbench.schema.convert import shown

OTHER_NAMES = {
    "learning_rate": "lr", "bs": "batch_size", "batch": "batch_size", "wd": "optim.weight_decay", "iterations": "steps",
    "momentum": "optim.momentum", "seeds": "seed", "architecture": "model", "network": "model", "gpu": "device",
}  # fmt: skip
"""Other names of our keys, where spelling does not lead from one to the other."""

SHORT_NAMES = {
    "bn": "batch", "ln": "layer", "gn": "group", "in": "instance", "brn": "renorm", "gbn": "ghost", "wn": "weight",
    "sn": "spectral",
}  # fmt: skip
"""Short names of norms in the literature."""
_SUFFIX = re.compile(r"[-_ ]?norm(alization)?([123]d)?$")

CLOSE = 0.75
"""Likeness (of :func:`difflib.get_close_matches`) from which a key is taken for an option of another choice."""


def likely_key(key: str, keys: Sequence[str], others: Sequence[str]) -> str | None:
    """The key that an unknown one may stand for; None if nothing is near.

    Args:
        keys: those that the arms of a sweep have.
        others: options that arms with other choices would have.
    """
    if key in OTHER_NAMES:
        return OTHER_NAMES[key]
    spelled = {name.rpartition(".")[2]: name for name in reversed([*keys, *others])}
    spelled |= {name: name for name in [*others, *keys]}
    head, dot, option = shown(key).lower().rpartition(".")
    groups = get_close_matches(head, GROUPS, n=1)
    near = get_close_matches(f"{groups[0]}.{option}" if groups else f"{head}{dot}{option}", spelled, 1, CLOSE)
    return spelled[near[0]] if near else None


def plain_norm(text: str) -> str:
    """The name of a norm without what others add to it: ``batch`` of ``BatchNorm2d``, ``batch_norm`` and ``bn``."""
    return SHORT_NAMES.get(text.lower()) or _SUFFIX.sub("", text.lower())
