"""Statistics over the processes that train a network together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import distributed

_is_apart: ContextVar[bool] = ContextVar("_is_apart", default=False)


def are_together() -> bool:
    """True if a layer's statistics are over the batches of several processes, which all call it at once."""
    return distributed.is_available() and distributed.is_initialized() and not _is_apart.get()


@contextmanager
def apart() -> Iterator[None]:
    """Have layers take statistics in this process alone: in an evaluation, or a probe, the others have no part."""
    before = _is_apart.set(True)
    try:
        yield
    finally:
        _is_apart.reset(before)
