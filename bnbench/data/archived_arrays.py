"""Arrays of an .npz file that stay on disk: mapped where they are, or unpacked into a file that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from bnbench.data.room import PART_BYTES, Array, room

SMALL = 2**16
"""Bytes of a member that is read at once."""
LOCAL_HEADER, NAME_LENGTH, EXTRA_LENGTH = 30, slice(26, 28), slice(28, 30)
"""The bytes of a zip file before a member's name, and those of them that say how much follows them."""
_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def array_on_disk(archive: ZipFile, member: ZipInfo, file: Path) -> Array:
    """An array that is read as it is needed; a small one at once. All of it is read through once, for its checksum.

    What is written to the array stays in this process.

    Args:
        archive: opened.
        member: of it, in numpy's format.
        file: the archive's.

    Raises:
        Exception: of many kinds; the member is damaged, or holds no plain array.
        BnbenchError: there is no room to unpack it.
    """
    with archive.open(member) as stream:
        if member.file_size < SMALL:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
        shape, is_fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded")
        if member.file_size - stream.tell() != int(np.prod(shape, dtype=object)) * dtype.itemsize:
            raise ValueError(f"{member.filename} is not as long as it says")
        if member.compress_type != ZIP_STORED:
            flat = room((member.file_size - stream.tell(),), np.uint8)
            _fill(flat, stream)
            return flat.view(dtype).reshape(shape, order="F" if is_fortran else "C")
        start = _start(file, member) + stream.tell()
        while stream.read(PART_BYTES):
            pass
    return np.asarray(np.memmap(file, dtype, "c", start, shape, "F" if is_fortran else "C"))


def _fill(flat: Array, stream: IO[bytes]) -> None:
    """Fill bytes from a stream, to its end."""
    at = 0
    while part := stream.read(PART_BYTES):
        flat[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)


def _start(file: Path, member: ZipInfo) -> int:
    """The place in its file where the content of a member begins."""
    with file.open("rb") as stream:
        stream.seek(member.header_offset)
        header = stream.read(LOCAL_HEADER)
    lengths = (int.from_bytes(header[part], "little") for part in (NAME_LENGTH, EXTRA_LENGTH))
    return member.header_offset + LOCAL_HEADER + sum(lengths)
