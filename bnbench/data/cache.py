"""Decoded images kept on disk, keyed by the content of the files they come from.

Two levels: a signature (names, sizes and times of the files) finds the content key without reading them; the content
key (a hash of their bytes) finds the tensors. So a copied or touched folder is not decoded again, and a changed one is.
The folder may be deleted at any time. A file in it that is damaged or of another version is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from torch import Tensor

from bnbench.data.raw import Raw, as_raw
from bnbench.kept import put

FOLDER = ".bnbench-cache"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Source:
    """What is decoded: the dataset's name, its files relative to ``folder``, and all options that change the result."""

    name: str
    folder: Path
    files: Sequence[str]
    options: str


def cached(root: Path, source: Source, decode: Callable[[], Raw]) -> Raw:
    """The result of ``decode``, from ``root/.bnbench-cache`` if it is there, else decoded and kept there.

    The tensors are memory-mapped: processes that load the same data share its pages. A data folder that cannot be
    written to works, without the cache. Processes that decode at the same time each replace the file by the same one.
    """
    folder, signature = root / FOLDER, _signature(source)
    pointer = folder / f"{source.name}-{signature[:16]}.key"
    known = _read_key(pointer, signature)
    key = known or _content_key(source)
    path = folder / f"{source.name}-{key[:16]}.pt"
    raw = _read(path, source.name, key)
    if raw is None:
        raw = decode()
        if _signature(source) != signature:  # the files changed meanwhile: right for this once, wrong to keep
            return raw
        _replace(path, lambda partial: _write(partial, raw, key))
    if known is None:
        _replace(pointer, lambda partial: _write_text(partial, f"{signature} {key}"))
    return raw


def _start(source: Source) -> hashlib._Hash:
    digest = hashlib.sha256()
    digest.update("\0".join([str(_VERSION), source.name, source.options]).encode())
    return digest


def _signature(source: Source) -> str:
    digest = _start(source)
    digest.update(os.fsencode(source.folder))
    for file in source.files:
        stat = os.stat(f"{source.folder}/{file}")  # noqa: PTH116 - a Path costs more than the call
        digest.update(os.fsencode(f"\0{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"))
    return digest.hexdigest()


def _content_key(source: Source) -> str:
    digest = _start(source)
    for file in source.files:
        with open(f"{source.folder}/{file}", "rb") as stream:  # noqa: PTH123 - as above
            content = stream.read()
        digest.update(os.fsencode(f"\0{file}\0{len(content)}\0"))
        digest.update(content)
    return digest.hexdigest()


def _read_key(path: Path, signature: str) -> str | None:
    """The content key kept for a signature; None without one, or if the file is about other files."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        about, _, key = (path.read_text() if path.is_file() else "").partition(" ")
        if about == signature and len(key) == 64 and set(key) <= set("0123456789abcdef"):
            return key
    return None


def _read(path: Path, name: str, key: str) -> Raw | None:
    """The kept tensors, or None if there is no such file or anything about it is not as it was written."""
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, weights_only=True, mmap=True)
        if kept["version"] != _VERSION or kept["key"] != key:
            return None
        train_x, train_y, test_x, test_y = kept["tensors"]
        raw = Raw(train_x, train_y, test_x, test_y, tuple(kept["classes"]))
        return as_raw(name, raw) if kept["checksums"] == _checksums(raw) else None
    except Exception:  # a damaged file can raise anything; it is decoded again
        return None


def _write(path: Path, raw: Raw, key: str) -> None:
    kept = {
        "version": _VERSION,
        "key": key,
        "tensors": [raw.train_x, raw.train_y, raw.test_x, raw.test_y],
        "checksums": _checksums(raw),
        "classes": list(raw.classes),
    }
    with path.open("wb") as stream:
        torch.save(kept, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _write_text(path: Path, text: str) -> None:
    with path.open("w") as stream:
        stream.write(text)
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
