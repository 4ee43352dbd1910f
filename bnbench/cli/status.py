"""One line, or two, that say how far a sweep is, in as many columns as there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.text import Text

from bnbench.progress import spent, told

if TYPE_CHECKING:
    from bnbench.session import Progress

PLAIN_SECONDS = 10.0
"""Seconds from one line to the next where nothing can be shown live."""
MARGIN = 4
"""Columns that stay free: what the terminal shows of Ctrl-C fits in, and moves nothing to the next line."""
LEAST_BAR, MOST_BAR = 10, 40


class Status:
    """The progress of a sweep: a bar where there is room, the count and the times always.

    Attributes:
        progress: None while nothing is known yet, and nothing shown.
        seconds: since the program began.
        left: seconds that are left, if that is known.
    """

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.seconds = 0.0
        self.left: float | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress, room = self.progress, max(options.max_width - MARGIN, 1)
        if progress is None:
            return
        count, times = f"{progress.done}/{progress.total}", spent(self.seconds, self.left)
        running, failed, *others = told(progress)
        choices = [[running, failed, *others], [running, failed], [failed] if progress.failed else [], []]
        lines = ["  ".join([count, *filter(None, [", ".join(choice)]), times]) for choice in choices]
        words = next((line for line in lines if cell_len(line) <= room), lines[-1])
        bar = min(MOST_BAR, room - cell_len(words) - 2)
        if bar >= LEAST_BAR:
            share = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=bar)
            yield from share.__rich_console__(console, options)
            yield Text("  ", end="")
        yield Text(cut(words, room))
        if progress.now:
            yield Text(cut(f"now: {progress.now}", room))


def cut(text: str, room: int) -> str:
    """A text in as many columns as there are, with dots in place of what has no room."""
    return text if cell_len(text) <= room else f"{set_cell_size(text, max(room - 3, 0)).rstrip()}..."[:room]
