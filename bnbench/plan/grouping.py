"""Stacks of runs that are trained as one network, once it is known how many may be. Needs no torch."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bnbench.plan.execution import ALONE, Division, Execution
from bnbench.plan.resources import Resources
from bnbench.spec import RunSpec, Split, by_stack_key
from bnbench.text import plural

STEP_OVERHEAD = 6
"""Cost of a step whatever its lanes, in lanes."""

Stack = tuple[str, ...]
"""The run_ids of a stack."""


def stacks(
    specs: Mapping[str, RunSpec], executions: Mapping[str, Execution], workers: int, spread: bool = True
) -> list[Stack]:
    """Group runs into stacks, the longest to train first.

    Args:
        specs: by run_id.
        executions: by stack key; a run whose key is not among them is trained alone.
        workers: how many train at a time.
        spread: whether stacks are made smaller to give all workers something to do.
    """
    planned: list[Stack] = []
    for key, members in by_stack_key(specs).items():
        execution = executions.get(key, ALONE)
        for part in _with_few_splits(members, specs, execution.splits):
            planned += _parts(part, -(-len(part) // execution.lanes))
    if spread:
        planned = _spread(planned, lambda stack: _cost(specs[stack[0]], len(stack)), workers)
    return sorted(planned, key=lambda stack: -_cost(specs[stack[0]], len(stack)))


def engine_lines(specs: Mapping[str, RunSpec], executions: Mapping[str, Execution]) -> list[str]:
    """``native for 24 runs, up to 12 together``: a line for each engine and why none that is faster."""
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    together: dict[tuple[str, tuple[str, ...]], int] = {}
    for key, members in by_stack_key(specs).items():
        execution = executions.get(key, ALONE)
        way = execution.engine, execution.reasons
        counts[way] += len(members)
        together[way] = max(together.get(way, 1), min(execution.lanes, len(members)))
    return [
        f"{engine} for {plural(count, 'run')}"
        + (f", up to {together[engine, reasons]} together" if together[engine, reasons] > 1 else "")
        + (f" ({'; '.join(reasons)})" if reasons else "")
        for (engine, reasons), count in counts.items()
    ]


def _with_few_splits(members: Sequence[str], specs: Mapping[str, RunSpec], most: int | None) -> list[Sequence[str]]:
    """Members in parts that have so many splits at most."""
    if most is None:
        return [members]
    by_split: dict[Split, list[str]] = {}
    for name in members:
        by_split.setdefault(specs[name].split, []).append(name)
    splits = [*by_split.values()]
    return [[*itertools.chain(*splits[at : at + most])] for at in range(0, len(splits), most)]


def _parts(members: Sequence[str], count: int) -> list[Stack]:
    """``count`` parts of nearly equal size."""
    edges = [round(part * len(members) / count) for part in range(count + 1)]
    return [tuple(members[start:end]) for start, end in itertools.pairwise(edges)]


def _spread(planned: list[Stack], cost: Callable[[Stack], float], workers: int) -> list[Stack]:
    """Split the largest stacks as far as that lets the workers end sooner."""
    best = current = planned
    for _ in range(4 * workers):
        largest = max(current, key=cost, default=())
        if len(largest) <= 1:
            break
        current = [*(stack for stack in current if stack is not largest), *_parts(largest, 2)]
        if makespan([*map(cost, current)], workers) < 0.98 * makespan([*map(cost, best)], workers):
            best = current
    return best


def _cost(spec: RunSpec, lanes: int) -> float:
    """Time of a stack, up to a factor that the stacks of a sweep share."""
    steps = spec.steps if spec.steps is not None else (spec.epochs or 1) * 1e6 / spec.batch_size
    return steps * (STEP_OVERHEAD + lanes)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until the last of the workers is through with all stacks, the longest first."""
    ends = [0.0] * workers
    for value in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + value)
    return max(ends)


def stacks_of(specs: Mapping[str, RunSpec], found: Division, resources: Resources) -> Sequence[Stack]:
    """The stacks of runs as they were divided; spread over the workers unless a user says how many lanes."""
    return stacks(specs, found.executions, resources.workers, spread=resources.lanes is None)
