"""Errors that a user can act on: each message says what must hold, what was received, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

RESTORE = "restore it from a copy, or move the sweep's folder away and train again"

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a disk, a quota or a limit that takes no more."""

TORCH_NO_MEMORY = "can't allocate memory"


class BnbenchError(Exception):
    """The request cannot be carried out; the message is all that the user needs to see."""


class InvalidRequest(BnbenchError):
    """The request is wrong in one or more places; all of them are listed at once.

    Args:
        problems: one sentence per problem, each naming the field, the value and what is allowed.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


class NothingPossible(InvalidRequest):
    """None of the runs that were asked for can be trained, each for a reason of its own."""


class Impossible(BnbenchError):
    """A combination of valid options that cannot be trained, as when the groups do not divide the channels."""


class Damaged(BnbenchError):
    """A file of a results folder is not as it was written; it is never overwritten or taken for less than it was."""

    def __init__(self, path: Path, what: str, remedy: str = RESTORE) -> None:
        self.path, self.what = path, what
        super().__init__(f"{path} is damaged: {what}; {remedy}")


class Gone(BnbenchError):
    """A sweep's folder was renamed, moved or removed while it was written to."""

    def __init__(self, folder: Path) -> None:
        remedy = "if it has another name now, give it back the old one, and the same command goes on"
        super().__init__(f"{folder} was renamed, moved or removed while it was written to; {remedy}")


class TakenOver(Gone):
    """Another program writes to the sweep's folder, as this one gave no sign of life for too long."""

    def __init__(self, folder: Path, host: str) -> None:
        place = f" on {host}" if host else ""
        reason = "as this one was stopped, or cut off from the folder, for too long"
        remedy = "nothing more was written here; what is missing in the end the same command trains"
        BnbenchError.__init__(self, f"{folder} was taken over by another bnbench{place}, {reason}; {remedy}")


class DataMissing(BnbenchError):
    """A dataset is neither on disk nor can it be downloaded."""


class PluginError(BnbenchError):
    """A plugin file cannot be used."""


def message_of(error: BaseException) -> str:
    """The text of an error, whatever a user's own class of errors does when it is asked for it."""
    try:
        return str(error)
    except BaseException as another:  # it may leave Python as well
        return f"its text cannot be read, which raises {type(another).__name__}"


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """True for the error of a disk that takes no more, as one that is full, or has become read-only."""
    return isinstance(error, OSError) and error.errno in FULL


def lacks_room(error: BaseException, *folders: Path) -> bool:
    """True for such an error about what is in some folders."""
    if not is_full(error) or error.filename is None:
        return False
    return any(Path(os.fsdecode(error.filename)).absolute().is_relative_to(folder.absolute()) for folder in folders)


def described(error: BaseException) -> str:
    """An error by its class and text: ``ValueError: boom``."""
    return f"{type(error).__name__}: {message_of(error)}"


SHOWN = 12
"""Names that a message lists at most."""


def nearest(value: str, allowed: Sequence[str], command: str = "") -> str:
    """Say what is allowed, the nearest match first: ``"; did you mean 'group'? Allowed: batch, group"``.

    Args:
        value: as it was given; upper and lower case are the same.
        allowed: names, of which only the nearest are listed if there are many.
        command: prints all of them.
    """
    known = {name.lower(): name for name in allowed}
    matches = get_close_matches(value.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {known[matches[0]]!r}? " if matches else ""
    if len(allowed) <= SHOWN:
        return f"{hint}Allowed: {', '.join(allowed)}"
    close = {known[name] for name in get_close_matches(value.lower(), known, n=SHOWN, cutoff=0.0)}
    every = f"{len(allowed)} in all{f'; {command} prints them' if command else ''}"
    return f"{hint}Allowed: {', '.join(name for name in allowed if name in close)}, ... ({every})"


def lacks_memory(error: BaseException) -> bool:
    """True for each way in which Python and torch say that memory is lacking."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and TORCH_NO_MEMORY in message_of(error)
