"""Writing what a command produces to a file."""

from __future__ import annotations

from pathlib import Path

import typer

from bnbench.errors import InvalidRequest
from bnbench.store.files import replacing


def write_text(path: Path, text: str) -> None:
    """Write a whole file and say so.

    Raises:
        InvalidRequest: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(text)
    except OSError as error:
        raise InvalidRequest([f"--out {path}: cannot be written: {error.strerror}"]) from error
    typer.echo(f"wrote {path}")
