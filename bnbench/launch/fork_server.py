"""Preloaded by the fork server: a process that the system refuses it is told by the program, in one line."""

from __future__ import annotations

import sys
from types import TracebackType

_show = sys.excepthook


def _show_others(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, OSError):
        _show(kind, error, trace)


sys.excepthook = _show_others
