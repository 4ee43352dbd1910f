"""Answers that take torch or seconds to find, kept once per machine for questions that are asked again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TypeVar

from bnbench.imports import import_seconds
from bnbench.user_cache import keep, kept_folder, kept_text, source_hash

PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "scipy")
Plain = TypeVar("Plain")

_seconds = 0.0


def finding_seconds() -> float:
    """Seconds, without imports, in which this process has found what it now remembers: the next one is spared them."""
    return _seconds


def finding() -> Callable[[], None]:
    """Begin to find something; to be called once it is kept: counts the time since among :func:`finding_seconds`.

    What was found and kept within counts once.
    """
    earlier, start = _seconds, time.monotonic() - import_seconds()

    def is_kept() -> None:
        global _seconds
        _seconds = earlier + time.monotonic() - import_seconds() - start

    return is_kept


def remembered(
    question: str,
    about: Sequence[object],
    find: Callable[[], Plain],
    holds: Callable[[Plain], bool] = lambda _: True,
    meanwhile: Sequence[object] | None = None,
) -> Plain:
    """The answer to a question: the one of before, or one that is found now.

    An answer counts for the sources and packages with which it was found.

    Args:
        about: all that the answer depends on, as plain data.
        find: finds the answer, plain data that JSON keeps as it is.
        holds: whether an answer holds another time as well.
        meanwhile: what an answer that does not hold depends on beside ``about``; None is what may change at any time.
    """
    folder = kept_folder("answers")
    if folder is None:
        return find()
    key = [question, *about, source_hash(), *map(version, PACKAGES)]
    lasting, passing = folder / _name(key), None if meanwhile is None else folder / _name([*key, [*meanwhile]])
    for path in (lasting, passing):
        known = None if path is None else kept_text(path)
        if known is not None:
            answer: Plain = json.loads(known)
            return answer
    is_kept = finding()
    answer = find()
    if (path := lasting if holds(answer) else passing) is not None:
        keep(path, json.dumps(answer))
        is_kept()
    return answer


def _name(key: Sequence[object]) -> str:
    """The name of the file of an answer."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]


def machine() -> list[object]:
    """The properties on which the speed of this machine depends, as far as they are known without trying."""
    settings = [os.environ.get(name) for name in ("BNBENCH_NATIVE", "CC", "OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    return [platform.node(), platform.machine(), shutil.which(settings[1] or "cc"), *settings]
