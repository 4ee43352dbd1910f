"""Room for arrays: in memory while they fit there, else in a file that is mapped and goes with the array.

What is read or written is the same, only slower where the system has to fetch it from the disk.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from bnbench.data.options import printable
from bnbench.errors import BnbenchError
from bnbench.memory import VARIABLE, data_memory
from bnbench.notices import notice

Array = np.ndarray[Any, np.dtype[Any]]
PART_BYTES = 2**24
"""Size of the parts in which large arrays are worked on."""
LASTING = "/var/tmp"
"""For temporary files where ``$TMPDIR`` names no folder: unlike ``/tmp`` it is never in memory itself."""


def fits_memory(count: int) -> bool:
    """True if an array of so many bytes may be in memory. Raises as :func:`bnbench.memory.data_memory`."""
    return count <= data_memory()


def stays_on_disk(dataset: str, count: int, place: str) -> bool:
    """True if arrays of so many bytes do not fit into memory; it is said then that they stay on disk, and where."""
    if fits_memory(count):
        return False
    limit = f"{VARIABLE}={os.environ[VARIABLE]}" if os.environ.get(VARIABLE) else "a quarter of the free memory"
    size = f"{count / 2**20:,.1f} MiB are more than {limit}"
    notice(printable(f"dataset={dataset}: {size}; they are read from disk as they are needed ({place})"))
    return True


def room(shape: Sequence[int], dtype: DTypeLike) -> Array:
    """An array of any content, to be filled.

    Raises:
        BnbenchError: it fits neither into memory nor on the disk.
    """
    count = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if fits_memory(count) else _on_disk(tuple(shape), np.dtype(dtype), count)


def _on_disk(shape: tuple[int, ...], dtype: np.dtype[Any], count: int) -> Array:
    named = os.environ.get("TMPDIR")
    folder = tempfile.gettempdir() if named or not os.access(LASTING, os.W_OK) else LASTING
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), count)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    except OSError as error:
        problem = f"{folder}: no room for {count / 2**30:,.2f} GiB of a dataset ({error.strerror or error})"
        raise BnbenchError(
            printable(f"{problem}. Set TMPDIR to a folder on a larger disk, or {VARIABLE} to as much memory")
        ) from error


def _reserve(file: int, count: int) -> None:
    """Have the disk keep so many bytes for a file, so that none is lacking when they are written. Raises OSError."""
    if not hasattr(os, "posix_fallocate"):
        os.truncate(file, count)
        return
    free = os.fstatvfs(file)
    if count > free.f_bavail * free.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.posix_fallocate(file, 0, count)


def room_of(count: int, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor for so many rows like those of another one, of any content. Raises as :func:`room`."""
    return torch.from_numpy(room((count, *x.shape[1:]), torch.empty(0, dtype=dtype or x.dtype).numpy().dtype))


def rows_at_a_time(x: Array | Tensor) -> int:
    """Rows of an array of which a part of about :data:`PART_BYTES` consists."""
    return max(1, PART_BYTES * len(x) // max(1, x.nbytes))


def parts_of(x: Tensor) -> Sequence[Tensor]:
    """The rows of a tensor in parts of about :data:`PART_BYTES`, one after the other."""
    return torch.split(x, rows_at_a_time(x))


def converted(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor with numbers of a type; the same one if they are already. Raises as :func:`room`."""
    if x.dtype == dtype:
        return x
    new = room_of(len(x), x, dtype)
    for target, part in zip(parts_of(new), torch.split(x, rows_at_a_time(new)), strict=True):
        target.copy_(part)
    return new


def in_order(x: Array, dtype: DTypeLike) -> Array:
    """An array with its numbers in a row and of a type; the same one if they are. Raises as :func:`room`."""
    if x.dtype == np.dtype(dtype) and x.flags.c_contiguous and x.flags.aligned:
        return x
    new = room(x.shape, dtype)
    rows = rows_at_a_time(new)
    for at in range(0, len(x), rows):
        new[at : at + rows] = x[at : at + rows]
    return new
