"""Paths as a user gives them."""

from __future__ import annotations

from pathlib import Path

from bnbench.errors import InvalidRequest


def expanded(given: str | Path, option: str) -> Path:
    """A path with the home folder in place of ``~`` or ``~somebody``.

    Raises:
        InvalidRequest: there is no such home; the message names the option.
    """
    path = Path(given)
    try:
        return path.expanduser()
    except RuntimeError:
        raise InvalidRequest([f"{option} {path}: there is no home folder for {path.parts[0]}; write it out"]) from None
