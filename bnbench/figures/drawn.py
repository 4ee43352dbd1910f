"""Figures that are made when somebody looks at them, as a report in text never does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import final, overload

from bnbench.figures.figure import Figure


@final
class Drawn(Sequence[Figure]):
    """The figures of a view.

    Args:
        make: makes them, by name; in place of a figure that has nothing to show, the reason.
    """

    def __init__(self, make: Callable[[], Mapping[str, Figure | str]]) -> None:
        self._make = make

    @cached_property
    def _all(self) -> Mapping[str, Figure | str]:
        return self._make()

    @cached_property
    def _figures(self) -> tuple[Figure, ...]:
        return tuple(figure for figure in self._all.values() if isinstance(figure, Figure))

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each figure that there is not."""
        told = [(name, reason) for name, reason in self._all.items() if isinstance(reason, str)]
        return tuple(f"No figure {name}: {reason}." for name, reason in told)

    @overload
    def __getitem__(self, at: int) -> Figure: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Figure, ...]: ...
    def __getitem__(self, at: int | slice) -> Figure | tuple[Figure, ...]:
        return self._figures[at]

    def __len__(self) -> int:
        return len(self._figures)


def reasons(figures: Sequence[Figure]) -> tuple[str, ...]:
    """The reasons why there are no further figures, a sentence each."""
    return figures.reasons if isinstance(figures, Drawn) else ()
