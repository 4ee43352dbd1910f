"""Consoles, which show text as it is, whatever it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from bnbench.text import harmless

PIPE_WIDTH = 10_000
"""More columns than any table has."""


def plain_console(whole: bool = False, **options: Any) -> Console:
    """A console without markup, highlighting or emoji codes, on which no cell or name can steer the terminal.

    Args:
        whole: neither cut nor wrap anything where there is no terminal.
        options: of :class:`rich.console.Console`.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=whole, **options)
    if whole and not console.is_terminal:
        console.width = PIPE_WIDTH
    console.push_render_hook(_Filter())
    return console


def echo(text: str = "", error: bool = False) -> None:
    """Print a text as it is, but harmless, on standard output or standard error."""
    print(harmless(text), file=sys.stderr if error else sys.stdout)


def announce(text: str) -> None:
    """Print a line at once, before something that takes time, such as an import of torch."""
    print(harmless(text), flush=True)


class _Filter(RenderHook):
    """Puts a filter around whatever is printed."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Filtered(renderable) for renderable in renderables]


class _Filtered:
    """Something to print, with its text made harmless; what steers the terminal on our behalf stays."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)
