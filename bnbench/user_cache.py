"""Findings that are made once per machine and kept under ``$XDG_CACHE_HOME/bnbench`` (``~/.cache`` without it).

What is kept decides what is trained by which code, and some of it is executed. So it counts only if nobody but this
user and root can have written it, and if it is as it was written: each text begins with its digest, and a folder of
files holds theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import uuid
from functools import cache
from pathlib import Path

from bnbench.notices import notice

DIGESTS = "digests"
"""The file that holds the digests of the others of its folder."""
PRIVATE = 0o700
SOURCES = (".py", ".c", ".h", ".json")


def kept_folders(name: str) -> list[Path]:
    """The places where one kind of findings may be kept, the best one first; the folders need not be there.

    The cache comes first, unless somebody else could write there, then a private folder for temporary files. There are
    none without a cache, as without a home.
    """
    cache = _cache()
    if cache is None:
        return []
    places = [cache, Path(tempfile.gettempdir()) / f"bnbench-{os.geteuid()}"]
    problems = [untrusted(place / name) for place in places]
    trusted = [place / name for place, problem in zip(places, problems, strict=True) if problem is None]
    if problems[0] is not None:
        instead = f"{trusted[0].parent} is used instead" if trusted else "nothing is kept, and torch trains"
        notice(f"what is kept in {cache} is not used: {problems[0]}; {instead}")
    return trusted


def kept_folder(name: str) -> Path | None:
    """The first of :func:`kept_folders`; None where there is no place."""
    return next(iter(kept_folders(name)), None)


def _cache() -> Path | None:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
        cache = cache if cache.is_absolute() else Path.home() / ".cache"  # relative ones are to be ignored
    except RuntimeError:
        return None
    return cache / "bnbench" if cache.is_absolute() else None


def untrusted(path: Path) -> str | None:
    """The reason not to trust the content of a path; None if only this user and root can have written it.

    What is not there yet is trusted. A folder for everybody, as ``/tmp``, is if it keeps each to what is theirs.
    """
    real = Path(os.path.realpath(path))
    for part in dict.fromkeys([*reversed(path.parents), path, *reversed(real.parents), real]):
        try:
            status = part.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{part}: {error.strerror}"
        if status.st_uid not in (0, os.geteuid()):
            return f"{part} belongs to another user"
        if part in path.parents and not part.is_dir():
            return f"{part} is not a folder"
        restricted = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not restricted and not stat.S_ISLNK(status.st_mode):
            return f"others may write to {part}"
    return None


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, for this user only.

    Raises:
        OSError: it cannot be made, or others can write there.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(PRIVATE, exist_ok=True)
    if problem := untrusted(path):  # somebody may have been quicker
        raise PermissionError(problem)


def kept_text(path: Path) -> str | None:
    """A text that was kept at a path; None without one that is as it was written."""
    content = _private_content(path)
    digest, _, text = (content or b"").partition(b"\n")
    return text.decode() if digest == _digest(path, text) else None


def keep(path: Path, text: str) -> None:
    """Write a text, whole or not at all; a folder that cannot be written to costs time only."""
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        make_folder(path.parent)
        try:
            _write(temporary, _digest(path, text.encode()) + b"\n" + text.encode())
            put(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError:
        return


def seal(folder: Path) -> None:
    """Write the digests of a folder's files beside them; files and digests are on the disk when this returns."""
    lines = []
    for path in sorted(folder.iterdir()):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.name}\n")
    text = "".join(lines).encode()
    _write(folder / DIGESTS, _digest(folder / DIGESTS, text) + b"\n" + text)


def is_sealed(folder: Path) -> bool:
    """True if a folder and its files are as they were when it was sealed, under the same name."""
    text = None if untrusted(folder) else kept_text(folder / DIGESTS)
    for line in (text or "").splitlines():
        digest, _, name = line.partition("  ")
        content = _private_content(folder / name)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return False
    return bool(text)


def put(new: Path, path: Path) -> None:
    """Move a file or a folder to a place; what is there, whatever it is, goes."""
    try:
        new.replace(path)
    except OSError:
        old = path.with_name(f".{uuid.uuid4().hex}")
        path.replace(old)
        new.replace(path)
        if old.is_dir() and not old.is_symlink():
            with contextlib.suppress(OSError):
                old.chmod(PRIVATE)
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink()


def _private_content(path: Path) -> bytes | None:
    """The content of a plain file that only this user or root can have written; None for any other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # not even a pipe may hold it up
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, os.geteuid())
            return None if shared or not stat.S_ISREG(status.st_mode) else stream.read()
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _digest(path: Path, text: bytes) -> bytes:
    """A digest of a text and of what it is about: that of another thing is none for this."""
    return hashlib.sha256(os.fsencode("/".join(path.parts[-2:])) + b"\0" + text).hexdigest().encode()


@cache
def source_hash(*parts: str) -> str:
    """A hash of the package's sources, or of those in some folders of it."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for folder in (package / part for part in parts or (".",)):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in SOURCES):
            digest.update(path.read_bytes())
    return digest.hexdigest()
