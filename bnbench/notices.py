"""What a user should know although it stops nothing: whoever talks to the user hears it, wherever it is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


def notice(text: str) -> None:
    """Say something in one line to all who listen; without any it is lost."""
    for listener in tuple(_listeners):
        listener(text)


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Let a function hear each notice of a block once."""
    told: set[str] = set()

    def listener(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
