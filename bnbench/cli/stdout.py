"""Standard output that outlives its reader: ``bnbench sweep ... | head`` must not stop the training."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Descriptor(io.FileIO):
    """An output that turns into nothing when it cannot be written to any more.

    Attributes:
        failure: why, unless its reader has gone or somebody (a plugin) has closed it.
    """

    failure: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        """Write some of the data, and say how much."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EBADF):
                self.failure = error
            nothing = os.open(os.devnull, os.O_WRONLY)
            if nothing != self.fileno():
                os.dup2(nothing, self.fileno())
                os.close(nothing)
            return super().write(data)


class _Output(io.TextIOWrapper):
    """A text stream that stays open, whoever closes it."""

    def close(self) -> None:
        """Write what is left."""
        self.flush()


@contextmanager
def lasting_stdout() -> Iterator[None]:
    """Let ``sys.stdout`` be an output that cannot break, not even at a character that it has no code for.

    Raises:
        OSError: at the end, if not everything could be written, as to a full disk.
    """
    original = sys.stdout
    try:
        descriptor = _Descriptor(original.fileno(), "w", closefd=False)
    except (AttributeError, ValueError, OSError):  # it is closed, or not a file
        yield
        return
    buffer = io.BufferedWriter(descriptor)
    sys.stdout = output = _Output(buffer, original.encoding, "replace", line_buffering=original.isatty())
    try:
        yield
    finally:
        sys.stdout = original
        output.flush()
        if descriptor.failure is not None:
            raise OSError(descriptor.failure.errno, descriptor.failure.strerror, "standard output")
