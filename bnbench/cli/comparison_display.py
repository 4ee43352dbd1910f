"""The display of the questions of a comparison, of which several may train at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from bnbench.cli.display import SweepDisplay
from bnbench.cli.status import MARGIN, cut
from bnbench.console import plain_console

if TYPE_CHECKING:
    from bnbench.session import Progress


class ComparisonDisplay:
    """Progress of each stage that trains, below its name; a context manager. In a pipe, a line now and then."""

    def __init__(self) -> None:
        console = plain_console(whole=True)
        self._parts: dict[str, SweepDisplay] = {}
        steered = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(self, console=console, refresh_per_second=4, transient=True) if steered else None

    def __enter__(self) -> ComparisonDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, name: str, progress: Progress) -> None:
        """Show how far a stage is; one that is over is shown no more."""
        self._parts.setdefault(name, SweepDisplay(name=name, is_part=True)).update(progress)
        if progress.done == progress.total:
            self._parts.pop(name)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a block."""
        if self._live is not None:
            self._live.stop()
        try:
            yield
        finally:
            if self._live is not None:
                self._live.start()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for name, part in tuple(self._parts.items()):
            yield Text(cut(name, max(options.max_width - MARGIN, 1)))
            yield from part.status().__rich_console__(console, options)
