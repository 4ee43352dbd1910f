"""The identity of runs, and of what runs have in common: hashes of a spec's content."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from bnbench.spec.run import RunSpec, Split
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


def common_split(spec: RunSpec) -> Split:
    """The split as far as runs of one network must share it: its seed is 0 where each may have its own.

    The sizes of all parts are the same for every seed, and so are the steps of shuffled batches. Those of batches of
    one class or domain depend on how many examples of it are for training, and images that enter domains are other ones
    for each seed: there the seed stays.
    """
    return replace(spec.split, seed=0) if spec.batches == "shuffled" and not spec.domains else spec.split


def split_of_stack(spec: RunSpec) -> Split:
    """The split as far as runs of a stack must share it: its seed is 0 where each may have its own.

    They pause and end together, and epochs of batches of one class may have another length for another seed: there no
    epoch may say when.
    """
    counts_steps = spec.steps is not None and spec.evaluate.unit == "steps" and spec.freeze_statistics is None
    return replace(spec.split, seed=0) if counts_steps or spec.batches != "single_class" else spec.split


def stack_key(spec: RunSpec) -> str:
    """Identity of what runs must have in common to be trained as one network.

    A run's own learning rate, momentum, weight decay and seed are left out, and the seed of its split where
    :func:`split_of_stack` does.
    """
    tree = _identity(spec)
    tree["split"]["seed"] = split_of_stack(spec).seed
    del tree["lr"], tree["seed"]
    (optim,) = tree["optim"].values()
    optim.pop("momentum", None)
    del optim["weight_decay"]
    return f"s{_digest(tree)[:11]}"


_IN_COMMON: Callable[[RunSpec], tuple[object, ...]] = operator.attrgetter(
    *(field.name for field in fields(RunSpec) if field.name not in ("lr", "seed", "split"))
)


def by_stack_key(specs: Mapping[str, RunSpec]) -> dict[str, list[str]]:
    """The run_ids of each stack key, which is found once for all specs that differ in learning rate and seeds only."""
    groups: dict[str, list[str]] = {}
    keys: dict[tuple[object, ...], str] = {}
    for identity, spec in specs.items():
        options = (*spec.norm.items, *spec.model.items, *spec.dataset.items)
        types = (type(value) for _, value in options)  # as 1, 1.0 and True are equal
        settings = (_IN_COMMON(spec), split_of_stack(spec), *types)
        if settings not in keys:
            keys[settings] = stack_key(spec)
        groups.setdefault(keys[settings], []).append(identity)
    return groups


def kind_key(spec: RunSpec) -> tuple[object, ...]:
    """Equal for runs whose networks, steps and amounts of work are of one kind.

    They differ in numbers of the optimizer and the schedule, in the seed, in that of the split where
    :func:`split_of_stack` leaves it out, and in how they are evaluated.
    """
    return (
        *(spec.norm, spec.model, spec.train, spec.dataset, split_of_stack(spec), spec.data, spec.domains, spec.batches),
        *(spec.batch_size, spec.drop_last, spec.epochs, spec.steps, spec.precision, spec.label_smoothing),
        *(type(spec.optim), spec.grad_clip is None, spec.freeze_statistics, spec.devices, spec.plugin),
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
