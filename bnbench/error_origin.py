"""Errors by whose code raises them: a user's, or this program's."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterable
from types import FrameType

from bnbench.errors import lacks_memory
from bnbench.plugin_modules import PROGRAM_PACKAGES


def is_foreign(error: BaseException) -> bool:
    """True if a user's code was running when an error was raised, and not only ours and torch's."""
    return any(map(_is_foreign, _frames(error)))


def is_bug(error: BaseException, has_user_code: bool = True) -> bool:
    """True if this program raised an error that it did not mean to, while no user's code was running.

    It means those that it has a class for, and those of a lack of memory.

    Args:
        has_user_code: a plugin may take part, which leaves no frame where it consists of torch's layers: an error that
            torch raises is no bug then. Without, it is one, but in networks of torchvision: some fail on small images.
    """
    if type(error).__module__.startswith("bnbench.") or lacks_memory(error) or is_foreign(error):
        return False
    roots = [_root(frame) for frame in _frames(error) if frame.f_code.co_name != "__getattr__"]
    if has_user_code:
        return not isinstance(error, RuntimeError) and roots[-1:] == ["bnbench"]
    return "torchvision" not in roots


def foreign_line(error: BaseException) -> str:
    """The last line of a user's code in a traceback."""
    lines = ((frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_foreign(frame))
    return line_of(traceback.StackSummary.extract(lines))


def line_of(frames: Iterable[traceback.FrameSummary]) -> str:
    """The last of some lines, and its place, as a message ends with it."""
    last = deque(frames, maxlen=1)
    return "".join(f"\n  {frame.filename}:{frame.lineno}: {frame.line}" for frame in last)


def _frames(error: BaseException) -> Iterable[FrameType]:
    return (frame for frame, _ in traceback.walk_tb(error.__traceback__))


def _is_foreign(frame: FrameType) -> bool:
    return _root(frame) not in PROGRAM_PACKAGES


def _root(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__", "torch")  # which runs code that it has written itself, without a module
    return str(name).partition(".")[0]
