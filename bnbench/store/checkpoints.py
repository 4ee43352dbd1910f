"""The checkpoints of a sweep: a file for each stack in training, whole or not there, and gone once the stack has ended.

A file is a line of JSON, which says of what it is, and behind it bytes that this module does not look into.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.store.files import check_file_place, content, leftovers, replacing_bytes, sync_folder
from bnbench.store.sharing import make_part

CHECKPOINTS, ENDING = "checkpoints", ".checkpoint"
LONGEST_LINE = 2**24


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, all but its content.

    Attributes:
        name: of its file.
        runs: the run_ids that go on from it, in their order.
        engine: that trains them.
        device: the type of it.
        version: see :func:`current_version`.
        step: how many steps were made.
    """

    name: str
    runs: tuple[str, ...]
    engine: str
    device: str
    version: str
    step: int


def current_version() -> str:
    """The versions on which the bits of a run depend."""
    return f"bnbench {version('bnbench')}, torch {version('torch')}"


def unfitness(checkpoint: Checkpoint, device: str) -> str:
    """Why nothing can go on from a checkpoint here, on a device of this type; empty if something can."""
    if checkpoint.version != current_version():
        return f"it is of {checkpoint.version}, and this is {current_version()}"
    if checkpoint.device != device:
        return f"it is of device={checkpoint.device}, and this is {device}"
    return ""


def checkpoint_path(folder: Path, name: str) -> Path:
    """The file of a checkpoint."""
    return folder / CHECKPOINTS / f"{name}{ENDING}"


def write_checkpoint(folder: Path, checkpoint: Checkpoint, body: bytes) -> None:
    """Keep a checkpoint in the place of an earlier one of its name; when this returns, nothing can lose it.

    Raises:
        Damaged: in the place of the file is something else.
        Gone: the folder is not there.
    """
    make_part(folder, CHECKPOINTS)
    path = checkpoint_path(folder, checkpoint.name)
    check_file_place(path)
    line = json.dumps({**asdict(checkpoint), "digest": _digest(checkpoint, body)}).encode() + b"\n"
    with replacing_bytes(path) as stream:
        stream.write(line)
        stream.write(body)
    sync_folder(path.parent)


def remove_checkpoint(folder: Path, name: str) -> None:
    """Remove a checkpoint, if it is there, and what the dead left half written of it."""
    path = checkpoint_path(folder, name)
    for each in (path, *leftovers(path)):
        with suppress(OSError):
            each.unlink()


def read_checkpoint(folder: Path, name: str) -> tuple[Checkpoint, bytes]:
    """A checkpoint and its content.

    Raises:
        Damaged: it is not as it was written.
        FileNotFoundError: there is none.
    """
    path = checkpoint_path(folder, name)
    line, _, body = content(path).partition(b"\n")
    checkpoint, digest = _read_line(path, line)
    if _digest(checkpoint, body) != digest:
        raise Damaged(path, "its content is not what was written")
    return checkpoint, body


def list_checkpoints(folder: Path) -> Iterator[tuple[str, Checkpoint | None]]:
    """The names of a sweep's checkpoints, the newest first, and what their first lines say, if anything."""
    for path in sorted((folder / CHECKPOINTS).glob(f"[!.]*{ENDING}"), key=_written_at, reverse=True):
        try:
            with path.open("rb") as stream:
                line = stream.readline(LONGEST_LINE)
        except (FileNotFoundError, IsADirectoryError):  # its runs have ended meanwhile
            continue
        name = path.name.removesuffix(ENDING)
        try:
            yield name, _read_line(path, line)[0]
        except Damaged:
            yield name, None


def _written_at(path: Path) -> int:
    """Nanoseconds; 0 of what has gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def forget_checkpoints(folder: Path, identities: Iterable[str]) -> None:
    """Remove the checkpoints from which one of these runs would go on."""
    gone = set(identities)
    for name, checkpoint in list_checkpoints(folder):
        if checkpoint is None or not gone.isdisjoint(checkpoint.runs):
            remove_checkpoint(folder, name)


def _read_line(path: Path, line: bytes) -> tuple[Checkpoint, str]:
    try:
        facts = json.loads(line)
        digest = facts.pop("digest")
        return Checkpoint(**{**facts, "runs": tuple(map(str, facts["runs"]))}), str(digest)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(path, "it is no checkpoint") from error


def _digest(checkpoint: Checkpoint, body: bytes) -> str:
    digest = hashlib.sha256(json.dumps(asdict(checkpoint)).encode())
    digest.update(body)
    return digest.hexdigest()
