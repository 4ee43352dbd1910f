"""The weights of trained networks: a file for each run, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.paths import irregular
from bnbench.store.files import replacing_bytes, sync_folder
from bnbench.store.sharing import make_part

WEIGHTS = "weights"
FILES = f"{WEIGHTS}/*.safetensors"
"""The files with weights, as a pattern in the folder of a sweep."""


def weights_path(folder: Path, identity: str) -> Path:
    """The file in which a sweep keeps the weights of a run."""
    return folder / WEIGHTS / f"{identity}.safetensors"


def write_weights(folder: Path, identity: str, content: bytes) -> None:
    """Keep the weights of a run; when this returns, nothing can lose them.

    Raises:
        Damaged: in the place of the file is something else.
        Gone: the folder is not there.
    """
    make_part(folder, WEIGHTS)
    path = weights_path(folder, identity)
    check_weights_place(path)
    with replacing_bytes(path) as stream:
        stream.write(content)
    sync_folder(path.parent)


def check_weights_place(path: Path) -> None:
    """Refuse to put weights in the place of anything but a file, such as a link, which may lead to somebody else's.

    Raises:
        Damaged: something else is there.
    """
    if not os.path.lexists(path):
        return
    if kind := "link" if path.is_symlink() else irregular(path.stat().st_mode):
        raise Damaged(path, f"it must be a file, and is a {kind}", "move it away")
