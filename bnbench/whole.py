"""Modules that load torch are imported whole: Ctrl-C is answered behind them."""

from __future__ import annotations

import importlib
import signal
import sys


def imported_whole(*modules: str) -> None:
    """Import modules; what is interrupted while it is imported may swallow that, or be half there ever after."""
    if all(module in sys.modules for module in modules):
        return
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
