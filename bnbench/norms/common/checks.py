"""Checks of options (:class:`InvalidRequest`, all problems at once) and of shapes (:class:`Impossible`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bnbench.errors import Impossible, InvalidRequest, nearest


def require(*problems: Iterable[str]) -> None:
    """Raise :class:`InvalidRequest` with all problems, if there are any."""
    sentences = [problem for group in problems for problem in group]
    if sentences:
        raise InvalidRequest(sentences)


def among(name: str, value: str, allowed: Sequence[str]) -> list[str]:
    """The problem that a name is not one of those allowed, if it is not."""
    return [] if value in allowed else [f"{name}={value}: {nearest(value, allowed)}"]


def require_values(count: int, layer: str, shape: Sequence[int], remedy: str) -> None:
    """Raise :class:`Impossible` unless statistics are taken over at least two values.

    Args:
        count: how many values one mean and variance are taken over.
        layer: its name and what it averages over, the subject of the message.
        shape: of the input ``[N, C, *]``.
        remedy: what to do instead.
    """
    if count < 2:
        raise Impossible(f"{layer} needs at least two values; an input of shape {list(shape)} gives {count}: {remedy}")
