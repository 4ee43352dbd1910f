"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from bnbench.launch.launcher import Done, describe


def inline(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Generator[Done, None, None]:
    """See :class:`Launcher`; ``jobs`` has no effect."""
    for index, task in enumerate(tasks):
        try:
            value = function(task)
        except (Exception, SystemExit) as error:
            done = Done(index, None, describe(error))
        else:
            done = Done(index, value)
        yield done
