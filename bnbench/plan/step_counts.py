"""The steps of runs, which also tell which arms of a plan are another norm, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnbench.data import Data, order_of
from bnbench.spec import RunSpec, common_split
from bnbench.training.timeline import timeline_of


def steps(specs: Mapping[str, RunSpec], data: Callable[[RunSpec], Data]) -> dict[str, int]:
    """The steps of training by run_id."""
    known: dict[tuple[object, ...], int] = {}
    found: dict[str, int] = {}
    for identity, spec in specs.items():
        own = (spec.dataset, common_split(spec), spec.domains, spec.batches, spec.batch_size)
        key = (*own, spec.drop_last, spec.epochs, spec.steps)
        if key not in known:
            known[key] = timeline_of(spec, order_of(spec, data(spec).train)).total
        found[identity] = known[key]
    return found
