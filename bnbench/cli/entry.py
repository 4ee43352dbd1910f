"""The first step of the program, which is imported in half a second in which Ctrl-C is no error, and its last one."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress

INTERRUPTED = 130


def program() -> None:
    """Do as :func:`main`, then all that an interpreter does at its end but to take apart what was imported.

    That would last half a second where torch is among it.
    """
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            raise
    else:
        code = 0
    with suppress(KeyboardInterrupt):  # all is done
        threading._shutdown()  # type: ignore[attr-defined]
    with suppress(KeyboardInterrupt):
        atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it was closed when the program began
                stream.flush()
    except (OSError, ValueError):  # the interpreter says so, and has a code for it
        sys.exit(code)
    os._exit(code)


def main() -> None:
    """Import the program, run it on the command line's words, and exit with its code."""
    try:
        from bnbench.imports import interrupted_behind

        with interrupted_behind():
            from bnbench.cli import app
        app.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
