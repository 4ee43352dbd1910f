"""Notices that stop nothing, but should be known: whoever talks to the user hears them, wherever they come from.

A notice is for good; a step says what takes the time at this moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []
_followers: list[Callable[[str], None]] = []


def notice(text: str) -> None:
    """Say something in one line to all who listen; without any it is lost."""
    for listener in tuple(_listeners):
        listener(text)


class Doubling:
    """The times to tell of something that lasts: whenever it has lasted twice as long."""

    def __init__(self) -> None:
        self._next = 0.0

    def is_due(self, seconds: float) -> bool:
        """True if it should be told now; what lasts 0 s is over, and the next one begins anew."""
        if seconds < self._next and seconds > 0:
            return False
        self._next = 2 * seconds
        return seconds > 0


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Let a function hear each notice of a block once."""
    texts: set[str] = set()

    def listener(text: str) -> None:
        if text not in texts:
            texts.add(text)
            tell(text)

    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def step(text: str) -> None:
    """Say what is being done now, in a few words, to whoever shows it."""
    for follower in tuple(_followers):
        follower(text)


@contextmanager
def followed(show: Callable[[str], None]) -> Iterator[None]:
    """Show each step of a block to a function, in this process."""
    _followers.append(show)
    try:
        yield
    finally:
        _followers.remove(show)
