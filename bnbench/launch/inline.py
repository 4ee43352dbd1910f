"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bnbench.launch.launcher import Done


def inline(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Iterator[Done]:
    """See :class:`Launcher`; ``jobs`` has no effect."""
    for index, task in enumerate(tasks):
        try:
            value = function(task)
        except Exception as error:
            yield Done(index, None, f"{type(error).__name__}: {error}")
        else:
            yield Done(index, value)
