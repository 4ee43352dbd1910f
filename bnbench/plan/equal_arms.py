"""Arms of a plan that are another norm, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bnbench.coincidences import Columns, sentences
from bnbench.data import Data, order_of
from bnbench.engine import total_steps
from bnbench.spec import RunSpec, flatten


def coinciding(specs: Iterable[RunSpec], data: Callable[[RunSpec], Data]) -> list[str]:
    """What coincides in the runs of a plan, in sentences."""
    return sentences(_columns(specs, data))


def _columns(specs: Iterable[RunSpec], data: Callable[[RunSpec], Data]) -> Iterator[Columns]:
    known: dict[tuple[object, ...], int] = {}
    for spec in specs:
        own = (spec.dataset, spec.split, spec.domains, spec.batches, spec.batch_size)
        key = (*own, spec.drop_last, spec.epochs, spec.steps)
        if key not in known:
            known[key] = total_steps(spec, order_of(spec, data(spec).train))
        yield {**flatten(spec), "total_steps": known[key]}
