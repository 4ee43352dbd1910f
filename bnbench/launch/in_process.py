"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any

from bnbench.errors import BnbenchError, described
from bnbench.launch.launcher import Done, Launcher, Spent, as_it_is, same_kind


def inline(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
) -> Generator[Done, None, None]:
    """See :class:`Launch`; ``jobs`` and ``kinds`` have no effect.

    Raises:
        BnbenchError: this process is spent.
    """
    for index, task in enumerate(tasks):
        try:
            value = function(placed(task, 0))
        except Spent as end:
            yield Done(index, end.value)
            raise BnbenchError(end.reason) from None
        except (Exception, SystemExit) as error:
            done = Done(index, None, described(error))
        else:
            done = Done(index, value)
        yield done


INLINE = Launcher(inline, isolates=False, compiles=True)
