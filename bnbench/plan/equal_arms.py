"""What tells which arms of a plan are another norm, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnbench.coincidences import Columns
from bnbench.data import Data, order_of
from bnbench.spec import RunSpec, flatten
from bnbench.training.timeline import timeline_of


def columns(specs: Mapping[str, RunSpec], data: Callable[[RunSpec], Data]) -> dict[str, Columns]:
    """The columns of runs by run_id, with their steps, from which :func:`bnbench.coincidences.sentences` are made."""
    known: dict[tuple[object, ...], int] = {}
    found: dict[str, Columns] = {}
    for identity, spec in specs.items():
        own = (spec.dataset, spec.split, spec.domains, spec.batches, spec.batch_size)
        key = (*own, spec.drop_last, spec.epochs, spec.steps)
        if key not in known:
            known[key] = timeline_of(spec, order_of(spec, data(spec).train)).total
        found[identity] = {**flatten(spec), "total_steps": known[key]}
    return found
