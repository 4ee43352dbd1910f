"""The first step of the program, which is imported in half a second in which Ctrl-C is no error, and its last one."""

from __future__ import annotations

import atexit
import os
import sys

INTERRUPTED = 130


def program() -> None:
    """Do as :func:`main`, and end the process."""
    codes: list[object] = []
    atexit.register(_leave, codes)  # what is registered first is called last
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
        raise


def main() -> None:
    """Import the program, run it on the command line's words, and exit with its code."""
    try:
        from bnbench.imports import interrupted_behind

        with interrupted_behind():
            from bnbench.cli import app
        app.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave(codes: list[object]) -> None:
    """End the process once all is done: to take apart what torch has set up would last half a second.

    Args:
        codes: the program's own, or nothing where something else ends the process.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it was closed when the program began
                stream.flush()
    except (OSError, ValueError):  # Python says so, and has a code for it
        return
    for code in codes:
        if isinstance(code, int):
            os._exit(code)
