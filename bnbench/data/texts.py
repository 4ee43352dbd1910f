"""Text as sequences of characters. N windows, T characters of a window, V characters of the vocabulary."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from bnbench.data.files import Files, own_file
from bnbench.data.options import fits, printable
from bnbench.data.raw import Raw
from bnbench.data.room import Array, room, rows_at_a_time, stays_on_disk
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.limits import whole_at_least
from bnbench.spec import stream
from bnbench.text import plural

CHARACTERS = 2**16 + 1
"""Characters of the text that is made."""
SUMMANDS = 100
"""Summands are below."""
FEWEST = 10
"""Windows that a text must have, as some of them are for validation and test."""


def text(root: Path, *, path: str = "", context: int = 32) -> Raw:
    """Characters of a text and, as the label of each, the one behind it.

    Args:
        root: the data folder.
        path: a text file in UTF-8, relative to the data folder; empty for 65,537 characters of lines such as 12+7=19,
            with random summands below 100, the same every time.
        context: characters of an example, beyond which nothing is seen.

    The text is cut into windows of T characters, and each but the first is the label of one position. Windows are
    uint8 [N, V, 1, T], 1 where a character is the one of the channel and else 0, labels [N, T]. What is left behind the
    last window is not used. The classes are the characters, in the order of Unicode. There is no official test set.

    Raises:
        DataMissing: there is no such file.
        InvalidRequest: the context is no whole number from 1 on, or the text is too short for it or too large.
        BnbenchError: the file cannot be read.
    """
    if problems := [*whole_at_least("dataset.context", context, 1)]:
        raise InvalidRequest(problems)
    name, content = (path, _read(*text_files(root, path).values())) if path else ("the text that is made", sums())
    count = (len(content) - 1) // context
    if count < FEWEST:
        least = f"dataset.context={context} needs at least {FEWEST * context + 1:,}, for {FEWEST} examples"
        raise InvalidRequest([printable(f"dataset=text: {name} holds {plural(len(content), 'character')}; {least}")])
    points = np.frombuffer(content[: count * context + 1].encode("utf-32-le"), np.uint32)
    vocabulary, codes = np.unique(points, return_inverse=True)
    if len(vocabulary) < 2:
        raise InvalidRequest([printable(f"dataset=text: {name} holds one character only; at least 2 are needed")])
    settings = f"dataset=text dataset.context={context}: {len(vocabulary):,} different characters"
    if problems := [*fits(settings, count * context * (len(vocabulary) + 8))]:
        raise InvalidRequest(problems)
    windows = _one_hot(codes[:-1].reshape(count, context), len(vocabulary))
    labels = torch.from_numpy(codes[1:].reshape(count, context).astype(np.int64))
    return Raw(torch.from_numpy(windows), labels, classes=tuple(map(_name, vocabulary.tolist())), sequences=True)


def text_files(root: Path, path: str) -> Files:
    """The file that :func:`text` reads, see :func:`own_file`."""
    return own_file(root, path, "text", ", with text in UTF-8")


def sums() -> str:
    """65,537 characters of lines ``a+b=c``, a and b drawn evenly from 0..99."""
    generator = torch.Generator().manual_seed(stream(0, "text"))
    pairs = torch.randint(SUMMANDS, (CHARACTERS // len("0+0=0\n"), 2), generator=generator)
    return "".join(f"{first}+{second}={first + second}\n" for first, second in pairs.tolist())[:CHARACTERS]


def digest_of_sums() -> str:
    """SHA-256 of the text that is made, in hexadecimal."""
    return hashlib.sha256(sums().encode()).hexdigest()


def _read(place: str) -> str:
    try:
        return Path(place).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise BnbenchError(printable(f"{place}: must be text in UTF-8: {error}")) from error


def _one_hot(codes_NT: Array, size: int) -> Array:
    """[N, V, 1, T] uint8."""
    count, context = codes_NT.shape
    stays_on_disk("text", count * size * context, "a temporary file")
    x_NVT = room((count, size, context), np.uint8)
    rows = rows_at_a_time(x_NVT)
    for at in range(0, count, rows):
        x_NVT[at : at + rows] = codes_NT[at : at + rows, None] == np.arange(size)[:, None]
    return x_NVT[:, :, None]


def _name(point: int) -> str:
    """A character, or how Python writes it if it cannot be seen."""
    return chr(point) if chr(point).isprintable() else ascii(chr(point))[1:-1]
