"""Files that data are read from: which may be read at all, and a fingerprint of what they hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bnbench.data.options import MOST_BYTES, neighbours, printable
from bnbench.errors import BnbenchError, DataMissing
from bnbench.paths import irregular
from bnbench.user_cache import keep, kept_folder, kept_text

MOST_IMAGE_BYTES = 2**30
"""Size of one image file at most."""

_CHUNK = 2**18

Files = Mapping[str, str]
"""Paths, by the name under which a file's content counts: two sets of files with the same names hold the same data if
each file does, wherever they are."""


def file_status(path: str | Path, most: int = MOST_BYTES) -> os.stat_result:
    """The status of a file that ends, as a pipe, a device or a file of more than ``most`` bytes does not.

    Raises:
        BnbenchError: it does not, or it is not there.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    except OSError as error:
        raise BnbenchError(printable(f"{path}: cannot be read ({error.strerror})")) from error
    if kind := irregular(status.st_mode):
        raise BnbenchError(printable(f"{path}: must be a regular file, and is a {kind}. Remove or replace it"))
    if status.st_size > most:
        size = f"holds {status.st_size / 2**30:,.1f} GiB; a file of its kind may hold {most / 2**30:.0f} GiB"
        raise BnbenchError(printable(f"{path}: {size}"))
    return status


def own_file(root: Path, path: str, dataset: str, form: str, most: int = MOST_BYTES) -> Files:
    """The one file of a user that a dataset is read from; it may have any name.

    Args:
        root: the data folder.
        path: relative to it.
        form: what the file is like, behind its name in a sentence.
        most: bytes that it may have.

    Raises:
        DataMissing: there is none.
        BnbenchError: it would never end.
    """
    file = root / path
    try:
        is_there = file.exists()
    except OSError as error:
        raise DataMissing(printable(f"dataset={dataset}: cannot read {file}: {error.strerror}")) from error
    if not is_there:
        expected = printable(f"expected the file {file}{form}")
        raise DataMissing(f"dataset={dataset}: {expected}. {neighbours(file)}")
    file_status(file, most)
    return {"": str(file)}


def content_hash(files: Files, most: int = MOST_BYTES) -> str:
    """SHA-256 of the names and contents of files, in hexadecimal.

    It is kept under ``$XDG_CACHE_HOME/bnbench/fingerprints`` for their paths, sizes, times and inodes, so files that
    were not touched are read once only.

    Args:
        files: by name.
        most: bytes that each may have.

    Raises:
        BnbenchError: one cannot be read, or would never end.
    """
    signature = _signature(files, most)
    folder = kept_folder("fingerprints")
    file = None if folder is None else folder / signature
    digest = _known.get(signature) or (file and kept_text(file))
    if not digest:
        digest = _digest(files)
        if _signature(files, most) != signature:  # changed meanwhile: whoever asks again will learn it
            return digest
        if file is not None:
            keep(file, digest)
    _known[signature] = digest
    return digest


_known: dict[str, str] = {}
"""Answers of this process, for machines on which nothing can be kept."""


def _signature(files: Files, most: int) -> str:
    """Sizes and times of files, known without reading them; they change whenever one of them is written to."""
    lines = []
    for name, path in sorted(files.items()):
        at = file_status(path, most)
        lines.append(f"{name}\0{path}\0{at.st_size} {at.st_mtime_ns} {at.st_ctime_ns} {at.st_ino} {at.st_dev}")
    return hashlib.sha256(os.fsencode("\0".join(lines))).hexdigest()


def _digest(files: Files) -> str:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    for name, path in sorted(files.items()):
        content = hashlib.sha256()
        for count in _chunks(path, buffer):
            content.update(buffer[:count])
        digest.update(os.fsencode(f"{name}\0") + content.digest())
    return digest.hexdigest()


def _chunks(path: str, buffer: memoryview) -> Iterator[int]:
    """Fill the buffer again and again; how many bytes of it are new."""
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path costs more than the call
            while count := stream.readinto(buffer):
                yield count
    except OSError as error:
        raise BnbenchError(printable(f"{path}: cannot be read ({error.strerror})")) from error
