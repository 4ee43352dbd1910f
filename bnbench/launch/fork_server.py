"""Preloaded by the fork server: where the system refuses it a process, the program tells it, not a traceback.

It ends at once, as it has the program's output open, and whoever reads that waits: Python would take torch apart first.
"""

from __future__ import annotations

import atexit
import os
import sys
from multiprocessing import util
from types import TracebackType

_show = sys.excepthook


def _show_others(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, OSError):
        _show(kind, error, trace)


sys.excepthook = _show_others
_clean_up = util._exit_function  # type: ignore[attr-defined]
atexit.unregister(_clean_up)  # what is registered last is called first
atexit.register(os._exit, 0)
atexit.register(_clean_up)
