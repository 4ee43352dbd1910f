"""Another name for a sweep."""

from __future__ import annotations

import os
from pathlib import Path

from bnbench.errors import InvalidRequest
from bnbench.store.access import check_name
from bnbench.store.lease import LEASE
from bnbench.store.lock import locked, nobody_writing
from bnbench.store.tables import check_sweep


def rename_sweep(folder: Path, name: str) -> Path:
    """Give a sweep another name beside the others, at once, and return its folder; nothing in it changes.

    Raises:
        InvalidRequest: there is no such sweep, or the name is none, or taken.
        BnbenchError: a program adds to it, or has taken it over meanwhile.
    """
    check_sweep(folder)
    check_name(name)
    target = folder.parent / name
    with locked(folder) as check_there, nobody_writing(folder):
        if os.path.lexists(target):
            raise InvalidRequest([f"{target} is there already; choose another name"])
        check_there()
        folder.rename(target)
        (target / LEASE).unlink(missing_ok=True)
    return target
