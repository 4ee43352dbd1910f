"""The progress of a sweep in a notebook: one line below the cell, renewed in place, without widgets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, final

from bnbench.notices import followed
from bnbench.progress.words import line, spent

if TYPE_CHECKING:
    from bnbench.session import Progress

SECONDS = 1.0
"""Seconds from one line to the next, at least."""
Watch = Callable[["Progress"], None]


@contextmanager
def shown_in_notebook() -> Iterator[Watch]:
    """Show what a block plans and trains, if it runs in a notebook.

    Yields:
        a function that is shown the progress of each sweep that is trained.
    """
    if not _in_notebook():
        yield lambda progress: None
        return
    shown = _Line()
    with followed(shown.plan):
        yield shown.watch


def _in_notebook() -> bool:
    """True in a kernel of Jupyter, which nobody but the kernel itself has loaded."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")


@final
class _Line:
    """A line that is renewed in place."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown = -SECONDS
        self._handle: Any = None

    def plan(self, step: str) -> None:
        """Say which step of planning is being done."""
        self._show(f"planning: {step}, {spent(time.monotonic() - self._began, None)}")

    def watch(self, progress: Progress) -> None:
        """Say how far the sweep is; its end is always said."""
        text = line(progress, time.monotonic() - self._began, progress.left)
        self._show(text, last=progress.done == progress.total)

    def _show(self, text: str, last: bool = False) -> None:
        now = time.monotonic()
        if now - self._shown < SECONDS and not last:
            return
        self._shown = now
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
