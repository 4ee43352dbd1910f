"""A results folder that several users write to: what each makes there is open to those to whom the folder is."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

from bnbench.errors import Gone

GROUP = stat.S_IRGRP | stat.S_IWGRP
"""The rights of a group to a file."""


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as open to a group as the one that they are in."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        share(path)


def make_part(folder: Path, name: str) -> Path:
    """Make a folder inside one that must be there, and return its path.

    Raises:
        Gone: ``folder`` is not there.
    """
    part = folder / name
    try:
        part.mkdir()
        share(part)
    except FileExistsError:
        pass
    except (FileNotFoundError, NotADirectoryError):
        raise Gone(folder) from None
    return part


def share(path: Path, replaced: Path | None = None) -> None:
    """Let a group do with a new file or folder what it may do with the folder that it is in.

    That is a folder with the set-group-ID bit, which hands its group on; elsewhere the umask alone decides, but a file
    that takes the place of another leaves the group what it might do with that one.
    """
    with contextlib.suppress(FileNotFoundError, PermissionError):  # gone, or somebody else's, who shares it
        status, around = path.stat(), path.parent.stat()
        more = around.st_mode & (stat.S_IRWXG if path.is_dir() else GROUP) if around.st_mode & stat.S_ISGID else 0
        with contextlib.suppress(FileNotFoundError):
            before = None if replaced is None else replaced.stat()
            if before is not None and before.st_gid == status.st_gid:
                more |= before.st_mode & GROUP
        if more & ~status.st_mode:
            path.chmod(stat.S_IMODE(status.st_mode) | more)
