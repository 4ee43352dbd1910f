"""Fetching a dataset on first use: all of its files appear whole, or none does."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bnbench.data.files import file_status
from bnbench.data.options import printable
from bnbench.errors import DataMissing

_FAILURES = (RuntimeError, OSError, EOFError, http.client.HTTPException, tarfile.TarError)
_SILENCE_SECONDS = 30.0


def ensure(name: str, root: Path, files: Sequence[str], fetch: Callable[[Path], object]) -> None:
    """Make sure that ``files`` (relative to ``root``) exist, downloading them if not.

    ``fetch`` fills a staging folder inside ``root``; only complete files are moved out of it.

    Raises:
        DataMissing: there is no network, or the download failed; nothing is left behind.
        BnbenchError: what is there in place of a file would never end.
    """
    missing = [file for file in files if not (root / file).exists()]
    for file in files:
        if file not in missing:
            file_status(root / file)
    if not missing:
        return
    new_folders = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        _stage(root, missing, fetch)
    except _FAILURES as error:
        with contextlib.suppress(OSError):
            for folder in new_folders:
                folder.rmdir()
        raise DataMissing(_message(name, root, files, missing, error)) from None


def _stage(root: Path, missing: Sequence[str], fetch: Callable[[Path], object]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".bnbench-download-", dir=root))
    try:
        with _silence_limit():
            fetch(staging)
        if absent := [file for file in missing if not (staging / file).is_file()]:
            raise RuntimeError(f"the download did not contain {', '.join(absent)}")
        for file in missing:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).replace(root / file)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def _silence_limit() -> Iterator[None]:
    """Give up on a server that says nothing, instead of waiting for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _message(name: str, root: Path, files: Sequence[str], missing: Sequence[str], error: BaseException) -> str:
    reason = printable(" ".join(str(error).split())) or type(error).__name__
    absent = "all of them" if len(missing) == len(files) else ", ".join(missing)
    return (
        f"dataset={name}: must be in {printable(str(root))}, and could not be downloaded ({reason}).\n"
        f"Expected there: {', '.join(files)}. Missing: {absent}.\n"
        "Run it once with a network connection, copy these files there, "
        "or name the folder that holds them with --data DIR (or BNBENCH_DATA)."
    )
