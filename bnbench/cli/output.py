"""Writing what a command produces, to a file or to standard output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bnbench.console import echo, plain_console
from bnbench.errors import InvalidRequest
from bnbench.reports import ReportView, print_views, render
from bnbench.store import belongs_to_sweep
from bnbench.store.files import replacing


def show_views(views: Sequence[ReportView]) -> None:
    """Print views: in colour and as wide as the terminal, or as plain text."""
    console = plain_console()
    if console.is_terminal:
        print_views(views, console)
    else:
        echo(render(views).removesuffix("\n"))


def write_text(path: Path, text: str) -> None:
    """Write a file and say so: into what is there (a file, a link, a device); a new file appears whole.

    Raises:
        InvalidRequest: the file cannot be written, or belongs to a sweep's results.
    """
    try:
        target = Path(os.path.realpath(path))
        if belongs_to_sweep(target):
            raise InvalidRequest([f"--out {path}: is a file of a sweep's results; choose another name"])
        if not target.parent.is_dir():
            raise InvalidRequest([f"--out {path}: there is no folder {target.parent}; make it, or choose another one"])
        if _is_there(path):
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        else:
            with replacing(target) as stream:
                stream.write(text)
    except OSError as error:
        raise InvalidRequest([f"--out {path}: cannot be written: {error.strerror}"]) from error
    echo(f"wrote {path}", error=True)  # standard output may be what was written to


def _is_there(path: Path) -> bool:
    """Whether something is where a path leads.

    Raises:
        OSError: it leads nowhere, as a link to itself does.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True
