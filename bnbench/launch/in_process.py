"""Runs tasks one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any

from bnbench.errors import BnbenchError
from bnbench.launch.launcher import Done, Line, Spent, as_it_is, failed, same_kind
from bnbench.launch.site import Launcher


def inline(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
) -> Generator[Done, None, None]:
    """See :class:`Launch`; ``jobs`` and ``kinds`` have no effect.

    Raises:
        BnbenchError: this process is spent.
    """
    line = () if heard is None else (Line(heard),)
    for index, task in enumerate(tasks):
        try:
            value = function(placed(task, 0), *line)
        except Spent as end:
            yield Done(index, end.value)
            raise BnbenchError(end.reason) from None
        except (Exception, SystemExit) as error:
            done = failed(index, error)
        else:
            done = Done(index, value)
        yield done


INLINE = Launcher(
    inline, "one after the other in this process; a plugin in one of its own", isolates=False, compiles=True
)
