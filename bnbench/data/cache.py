"""Decoded images kept on disk, keyed by the content of the files they come from.

So a copied or touched folder is not decoded again, and a changed one is.
The folder may be deleted at any time. A file in it that is damaged or of another version is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from torch import Tensor

from bnbench.data.files import content_hash
from bnbench.data.options import MOST_BYTES
from bnbench.data.raw import Raw, as_raw
from bnbench.data.room import fits_memory
from bnbench.user_cache import put

FOLDER = ".bnbench-cache"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Source:
    """The key of decoded images: the dataset's name, its files relative to ``folder``, and all options that count.

    None of the files may have more than ``most`` bytes.
    """

    name: str
    folder: Path
    files: Sequence[str]
    options: str
    most: int = MOST_BYTES


def cached(root: Path, source: Source, decode: Callable[[], Raw]) -> Raw:
    """The result of ``decode``, from ``root/.bnbench-cache`` if it is there, else decoded and kept there.

    The tensors are memory-mapped: processes that load the same data share its pages. A data folder that cannot be
    written to works, without the cache. Processes that decode at the same time each replace the file by the same one.
    """
    key = _key(source)
    path = root / FOLDER / f"{source.name}-{key[:16]}.pt"
    stored = _read(path, source.name, key)
    if stored is not None:
        return stored
    raw = decode()
    if _key(source) == key:  # files that changed meanwhile are right for this once, and wrong to keep
        _replace(path, lambda partial: _write(partial, raw, key))
        if not fits_memory(raw.train_x.nbytes):  # its file is on the disk a second time
            return _read(path, source.name, key) or raw
    return raw


def _key(source: Source) -> str:
    content = content_hash({file: f"{source.folder}/{file}" for file in source.files}, source.most)
    return hashlib.sha256(json.dumps([_VERSION, source.name, source.options, content]).encode()).hexdigest()


def _read(path: Path, name: str, key: str) -> Raw | None:
    """The kept tensors, or None if there is no such file or anything about it is not as it was written."""
    if not path.is_file():
        return None
    try:
        content = torch.load(path, weights_only=True, mmap=True)
        if content["version"] != _VERSION or content["key"] != key:
            return None
        train_x, train_y, test_x, test_y = content["tensors"]
        raw = Raw(train_x, train_y, test_x, test_y, tuple(content["classes"]))
        return as_raw(name, raw) if content["checksums"] == _checksums(raw) else None
    except Exception:  # a damaged file can raise anything; it is decoded again
        return None


def _write(path: Path, raw: Raw, key: str) -> None:
    content = {
        "version": _VERSION,
        "key": key,
        "tensors": [raw.train_x, raw.train_y, raw.test_x, raw.test_y],
        "checksums": _checksums(raw),
        "classes": list(raw.classes),
    }
    with path.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _checksums(raw: Raw) -> list[int | None]:
    """One for each tensor's numbers, with their shape and type, and one for the names of the classes."""
    tensors = (raw.train_x, raw.train_y, raw.test_x, raw.test_y)
    return [*map(_checksum, tensors), zlib.crc32(repr(tuple(raw.classes)).encode(errors="surrogateescape"))]


def _checksum(tensor: Tensor | None) -> int | None:
    if tensor is None:
        return None
    shape = zlib.crc32(repr((tuple(tensor.shape), tensor.dtype)).encode())
    return zlib.crc32(tensor.contiguous().numpy().data, shape)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write to a temporary name and move it into place; a folder or disk that refuses leaves things as they were."""
    partial = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        path.parent.mkdir(exist_ok=True)
        write(partial)
        put(partial, path)
    except (OSError, RuntimeError):
        with contextlib.suppress(OSError):
            partial.unlink()
