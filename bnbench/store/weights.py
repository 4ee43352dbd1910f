"""The weights of trained networks: a file for each run, whole or not there."""

from __future__ import annotations

from pathlib import Path

from bnbench.store.files import check_file_place, replacing_bytes, sync_folder
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
    check_file_place(path)
    with replacing_bytes(path) as stream:
        stream.write(content)
    sync_folder(path.parent)
