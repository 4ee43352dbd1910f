"""Paths as a user gives them, what lies there, and where the configs are."""

from __future__ import annotations

import errno
import stat
from functools import cache
from pathlib import Path

from bnbench.errors import InvalidRequest

_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


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


def shown_path(path: Path) -> Path:
    """A path as one would type it: relative if it is inside the current folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def content(path: Path) -> bytes:
    """The content of a file that a user names.

    Raises:
        OSError: it cannot be read, or is something else, such as a pipe, of which reading might never end.
    """
    if kind := irregular(path.stat().st_mode):
        raise OSError(errno.EINVAL, f"it must be a regular file, and is a {kind}", str(path))
    return path.read_bytes()


def conf_dir() -> Path:
    """The folder of the Hydra configs: inside an installed package, beside it in a clone."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


@cache
def built_in(group: str) -> frozenset[str]:
    """The names of the built-in choices of a config group, such as ``norm``."""
    return frozenset(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def irregular(mode: int) -> str | None:
    """The kind of anything but a regular file, which alone is sure to end, by the mode of its status; None for one."""
    return None if stat.S_ISREG(mode) else next((name for holds, name in _KINDS if holds(mode)), "special file")
