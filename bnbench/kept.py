"""What is found out once per machine and kept: texts under ``$XDG_CACHE_HOME/bnbench`` (``~/.cache`` without it)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def kept_folder(name: str) -> Path:
    """The folder of one kind of findings, which need not be there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bnbench" / name


def keep(path: Path, text: str) -> None:
    """Write a text, whole or not at all; a folder that cannot be written to costs time only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as stream:
            stream.write(text)
        Path(stream.name).replace(path)
    except OSError:
        return
