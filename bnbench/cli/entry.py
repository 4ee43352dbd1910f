"""The first step of the program: it is imported, which takes half a second in which Ctrl-C is no error."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Import the program, run it on the command line's words, and exit with its code."""
    try:
        from bnbench.imports import interrupted_behind

        with interrupted_behind():
            from bnbench.cli import app
        app.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
