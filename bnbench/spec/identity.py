"""The identity of runs, and of what runs have in common: hashes of a spec's content."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from bnbench.spec.run import RunSpec
from bnbench.spec.tree import as_tree

SCHEMA_VERSION = 4
"""Goes up when one spec comes to mean other numbers: results of before are then read, but not taken for its own."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(spec: RunSpec) -> str:
    """An ``r`` and the first 11 hex digits of the SHA-256 of the spec's canonical JSON and the schema version.

    The letter keeps it a text for whoever reads it: no number, date, ``inf`` or ``nan`` begins with one. Up to schema
    version 3 there was a twelfth digit in its place.
    """
    return f"r{_digest(_identity(spec))[:11]}"


def stack_key(spec: RunSpec) -> str:
    """Identity of what runs must have in common to be trained as one network.

    A run's own learning rate, momentum, weight decay and seed are left out.
    """
    tree = _identity(spec)
    del tree["lr"], tree["seed"]
    (optim,) = tree["optim"].values()
    optim.pop("momentum", None)
    del optim["weight_decay"]
    return f"s{_digest(tree)[:11]}"


_BESIDE_LR_AND_SEED: Callable[[RunSpec], tuple[object, ...]] = operator.attrgetter(
    *(field.name for field in fields(RunSpec) if field.name not in ("lr", "seed"))
)


def by_stack_key(specs: Mapping[str, RunSpec]) -> dict[str, list[str]]:
    """The run_ids of each stack key, which is found once for all specs that differ in learning rate and seed only."""
    groups: dict[str, list[str]] = {}
    keys: dict[tuple[object, ...], str] = {}
    for identity, spec in specs.items():
        options = (*spec.norm.items, *spec.model.items, *spec.dataset.items)
        settings = (_BESIDE_LR_AND_SEED(spec), *(type(value) for _, value in options))  # as 1, 1.0 and True are equal
        if settings not in keys:
            keys[settings] = stack_key(spec)
        groups.setdefault(keys[settings], []).append(identity)
    return groups


def kind_key(spec: RunSpec) -> tuple[object, ...]:
    """Equal for runs whose networks, steps and amounts of work are of one kind.

    They differ in numbers of the optimizer and the schedule, in the seed, and in how they are evaluated.
    """
    return (
        *(spec.norm, spec.model, spec.train, spec.dataset, spec.split, spec.data, spec.domains, spec.batches),
        *(spec.batch_size, spec.drop_last, spec.epochs, spec.steps, spec.precision, spec.label_smoothing),
        *(type(spec.optim), spec.grad_clip is None, spec.freeze_statistics, spec.plugin),
    )


def _identity(spec: RunSpec) -> dict[str, Any]:
    """The spec's tree with the fingerprint of its data in place of their path, if it has one."""
    tree = as_tree(spec)
    if (fingerprint := tree.pop("data")) is not None:
        tree["dataset"][spec.dataset.name]["path"] = fingerprint
    return tree


def _digest(tree: dict[str, Any]) -> str:
    return hashlib.sha256(_CANONICAL.encode([SCHEMA_VERSION, tree]).encode()).hexdigest()


def stream(seed: int, *purpose: str) -> int:
    """A 63-bit seed for one purpose, independent of the seeds for all other purposes.

    A layer that draws numbers therefore never shifts the data order, and arms with one seed stay paired.
    """
    digest = hashlib.sha256("/".join([str(seed), *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
