"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any

from bnbench.errors import described
from bnbench.launch.launcher import Done, same_kind


def inline(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
) -> Generator[Done, None, None]:
    """See :class:`Launcher`; ``jobs`` and ``kinds`` have no effect."""
    for index, task in enumerate(tasks):
        try:
            value = function(task)
        except (Exception, SystemExit) as error:
            done = Done(index, None, described(error))
        else:
            done = Done(index, value)
        yield done
