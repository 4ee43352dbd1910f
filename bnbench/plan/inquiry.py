"""Questions of planning about a user's components, put to a process that may die of them; answers are plain data."""

from __future__ import annotations

import linecache
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from bnbench.errors import BnbenchError
from bnbench.plugin_modules import PROGRAM_PACKAGES
from bnbench.plugin_source import Plugin
from bnbench.spec import RunSpec

if TYPE_CHECKING:
    from bnbench.components import Components, DataFolder

Question = Callable[[Mapping[str, RunSpec], "Components", "DataFolder"], Any]
"""A function of a module, of specs by run_id, what they are built from, and what loads their data."""

ROOM = mmap.PAGESIZE
POLL_SECONDS = 1.0
"""Seconds from one look at where the code is to the next."""


@dataclass(frozen=True)
class Inquiry:
    """A question about some specs.

    Attributes:
        data: the folder of the datasets.
        trace: a file of :data:`ROOM` bytes that takes the line of the user's code that is being executed.
        exactly: follow each line, which is slow, not only where the code is now and then.
    """

    question: Question
    specs: Mapping[str, RunSpec]
    plugin: Plugin | None
    data: Path
    trace: Path | None = None
    exactly: bool = True


@dataclass(frozen=True)
class Refusal:
    """The text of a :class:`BnbenchError` in place of an answer."""

    text: str


def answer(inquiry: Inquiry) -> Any:
    """The answer to a question, or a :class:`Refusal`."""
    from bnbench.components import DataFolder, components
    from bnbench.training import prepare_process

    prepare_process()
    with _followed(inquiry):
        try:
            parts = components(inquiry.plugin)
            return inquiry.question(inquiry.specs, parts, DataFolder(parts, inquiry.data))
        except BnbenchError as error:
            return Refusal(str(error))


@contextmanager
def _followed(inquiry: Inquiry) -> Iterator[None]:
    """Keep the line of a user's code that is being executed, in memory that outlives the process."""
    if inquiry.trace is None or inquiry.plugin is None:
        yield
        return
    with inquiry.trace.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), ROOM)
    own = f"{inquiry.plugin.file.parent}{os.sep}"

    def keep(frame: FrameType) -> bool:
        file, name = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
        if not file.startswith(own) or name.partition(".")[0] in PROGRAM_PACKAGES:
            return False
        memory[:] = f"{frame.f_lineno}:{file}".encode(errors="surrogateescape").ljust(ROOM, b"\0")[:ROOM]
        return True

    with _traced(keep) if inquiry.exactly else _looked_at(keep):
        yield


@contextmanager
def _traced(keep: Callable[[FrameType], bool]) -> Iterator[None]:
    """Show each line to a function that says whether it wants to see more of its frame."""

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        return follow if keep(frame) else None

    sys.settrace(follow)
    try:
        yield
    finally:
        sys.settrace(None)


@contextmanager
def _looked_at(keep: Callable[[FrameType], bool]) -> Iterator[None]:
    """Show where this thread is to a function now and then, from the inside until it takes a frame."""
    over, here = threading.Event(), threading.get_ident()

    def look() -> None:
        while not over.wait(POLL_SECONDS):
            frame = sys._current_frames().get(here)
            while frame is not None and not keep(frame):
                frame = frame.f_back

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def last_line(trace: Path) -> str:
    """The last line of a user's code that was kept, as messages show it; empty if there was none."""
    number, _, file = trace.read_bytes().rstrip(b"\0").decode(errors="surrogateescape").partition(":")
    return f"\n  {file}:{number}: {linecache.getline(file, int(number)).strip()}" if number else ""
