"""What is found out once per machine and kept: texts under ``$XDG_CACHE_HOME/bnbench`` (``~/.cache`` without it)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def kept_folder(name: str) -> Path | None:
    """The folder of one kind of findings, which need not be there; None where there is no place, as without a home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
        cache = cache if cache.is_absolute() else Path.home() / ".cache"  # relative ones are to be ignored
    except RuntimeError:
        return None
    return cache / "bnbench" / name if cache.is_absolute() else None


def kept_text(path: Path) -> str | None:
    """A text that was kept; None without one that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def keep(path: Path, text: str) -> None:
    """Write a text, whole or not at all; a folder that cannot be written to costs time only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as stream:
            stream.write(text)
        Path(stream.name).replace(path)
    except OSError:
        return
