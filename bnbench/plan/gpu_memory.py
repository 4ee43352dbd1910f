"""The room on GPUs for what is to be trained on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from bnbench.components import Components
from bnbench.data import Data
from bnbench.errors import InvalidRequest
from bnbench.plan.case import Case
from bnbench.plan.size import least_bytes
from bnbench.spec import RunSpec
from bnbench.training import memory_of

CONTEXT = 2**27
"""Bytes of a GPU that a process needs before it holds anything, at least."""


def check_room(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    used: Sequence[torch.device],
) -> None:
    """Check that each GPU in use has room for one of the runs at least: one that is too large for it fails alone.

    Args:
        specs: by run_id.

    Raises:
        InvalidRequest: naming the GPUs that have not.
    """
    problems: list[str] = []
    for gpu in used:
        try:
            free, every = memory_of(gpu)
        except InvalidRequest as error:
            problems += error.problems
            continue
        needed = _least(specs, components, data, free)
        if needed > free:
            least = f"the smallest of these runs needs {_megabytes(needed)} at least"
            taken = f", and other programs hold {_megabytes(every - free)}" if needed <= every else ""
            found = f"{_megabytes(free)} of {_megabytes(every)} are free"
            problems.append(f"device={gpu}: {found}, but {least}{taken}; use another GPU, or device=cpu")
    if problems:
        raise InvalidRequest(problems)


def _least(specs: Mapping[str, RunSpec], components: Components, data: Callable[[RunSpec], Data], free: int) -> int:
    """Bytes that the smallest of some runs needs, or that one needs that there is room for."""
    least: dict[tuple[object, ...], int] = {}
    for spec in specs.values():
        kind = spec.norm, spec.model, spec.dataset, spec.split, spec.batch_size, spec.devices, spec.plugin
        if kind not in least:
            least[kind] = CONTEXT + _size(spec, components, data)
            if least[kind] <= free:
                break
    return min(least.values())


def _size(spec: RunSpec, components: Components, data: Callable[[RunSpec], Data]) -> int:
    if spec.plugin is not None:  # a user's code is executed by workers alone
        return 0
    part = replace(spec, batch_size=spec.part(spec.batch_size))
    return least_bytes(Case(part, components, data(spec)))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
