"""Checks of the place of a sweep, before anything is planned or trained."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bnbench.errors import InvalidRequest
from bnbench.store.checks import PARTS, TABLES, checked_rows
from bnbench.store.lock import SWEEP, TAGGERS, WRITERS, check_free
from bnbench.store.naming import naming_rule
from bnbench.store.tags import TAGS_TABLE

LONGEST_NAME = 100


def check_place(results: Path, name: str | None, to_train: bool = True) -> None:
    """Refuse what its path and what is there show to be no place for a sweep; takes no torch, and writes nothing.

    Args:
        name: of the sweep; None if it will be a new one.
        to_train: whether runs will be added, which one program at a time may do.

    Raises:
        BnbenchError: the name is none, or the folder cannot be written to, is damaged or in use.
    """
    results = results.absolute()
    if name is None:
        check_writable(results)
        return
    check_name(name)
    check_writable(results / name)
    if to_train:
        check_free(results / name)
    checked_rows(results / name)


def check_name(name: str) -> None:
    """Refuse a sweep's name that is no plain folder name.

    Raises:
        InvalidRequest: saying which letters it may have.
    """
    if allowed := naming_rule(name, LONGEST_NAME):
        raise InvalidRequest([f"name={name!r:.120}: must be a plain folder name such as small-batch: {allowed}"])


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, or a sweep in it, before anything is trained.

    Raises:
        InvalidRequest: naming the folder.
    """
    refusal, existing = f"results folder {folder}", folder
    try:
        existing = _nearest(folder)
        is_folder = stat.S_ISDIR(existing.stat().st_mode)
    except OSError as error:
        raise InvalidRequest([f"{refusal}: {existing}: {error.strerror}; choose another --results"]) from error
    if not is_folder:
        raise InvalidRequest([f"{refusal}: {existing} is a file; choose another --results or --name"])
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidRequest([f"{refusal}: {existing} is not writable; choose another --results"])
    if existing == folder and (path := _closed(folder)):
        remedy = f"let the owner give the command chmod -R g+rwX {folder}, or choose another --results or --name"
        raise InvalidRequest([f"{refusal}: {path} is not open to this user; {remedy}"])


def _nearest(path: Path) -> Path:
    """The path itself if it is there (a link that leads nowhere is), or else the nearest folder above it that is."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return _nearest(path.absolute().parent)
    return path


def _closed(folder: Path) -> Path | None:
    """The first of a sweep's own files and folders that this user cannot use; None if all that are there can be."""
    needs = {
        **dict.fromkeys((SWEEP, WRITERS, TAGGERS, TAGS_TABLE), os.R_OK | os.W_OK),
        **dict.fromkeys(TABLES, os.R_OK),
        **dict.fromkeys(PARTS, os.R_OK | os.W_OK | os.X_OK),
    }
    keeps = folder.stat().st_mode & stat.S_ISVTX and os.geteuid() not in (0, folder.stat().st_uid)
    for name, access in needs.items():
        path = folder / name
        if (path.is_dir() if name in PARTS else path.exists()) and not os.access(path, access):
            return path
        if keeps and path.exists() and path.stat().st_uid != os.geteuid():  # nobody else may put a file in its place
            return path
    return None
