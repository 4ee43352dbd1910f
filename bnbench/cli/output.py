"""Writing what a command produces to a file."""

from __future__ import annotations

from pathlib import Path

import typer

from bnbench.errors import InvalidRequest
from bnbench.store import belongs_to_sweep
from bnbench.store.files import replacing


def write_text(path: Path, text: str) -> None:
    """Write a file and say so: into what is there (a file, a link, a device); a new file appears whole.

    Raises:
        InvalidRequest: the file cannot be written, or belongs to a sweep's results.
    """
    try:
        target = path.resolve()
        if belongs_to_sweep(target):
            raise InvalidRequest([f"--out {path}: is a file of a sweep's results; choose another name"])
        if not target.parent.is_dir():
            raise InvalidRequest([f"--out {path}: there is no folder {target.parent}; make it, or choose another one"])
        if path.exists():
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        else:
            with replacing(target) as stream:
                stream.write(text)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidRequest([f"--out {path}: cannot be written: {reason}"]) from error
    typer.echo(f"wrote {path}", err=True)  # standard output may be what was written to
