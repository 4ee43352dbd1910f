"""A typed value as its annotation wants it, or a sentence that says what is allowed."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Union, cast, get_args, get_origin

from bnbench.errors import nearest
from bnbench.spec import Value

LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127
"""Networks compute in float32, and their options with them."""

LONGEST = 80
"""Characters of a value that a message shows."""
DEEPEST = 3
"""Lists inside each other that a message shows."""


@dataclass(frozen=True)
class Unknown:
    """Stands for a type that no command line can set."""

    name: str

    @property
    def __name__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


class WrongType(Exception):
    """A value has the wrong type; the message completes "name=value: "."""


def convert(annotation: Any, value: Any) -> Value:
    """The value as its annotation wants it.

    Equal results have equal types (never 1 beside 1.0 or true), so that equal specs have one identity.

    Raises:
        WrongType: the value has another type or is not among the allowed ones.
    """
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(annotation), value)
    if origin is Literal:
        return _convert_literal(get_args(annotation), value)
    if origin in (tuple, list):
        return _convert_list(get_args(annotation), value)
    return _convert_scalar(annotation, value)


def shown(value: Any, depth: int = 0) -> str:
    """A value as a user types it, shortened if it is very long or deep."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case list() | tuple() | dict() if depth == DEEPEST:
            text = "..."
        case list() | tuple():
            text = f"[{','.join(shown(item, depth + 1) for item in value[:LONGEST])}]"
        case dict():
            inside = [f"{shown(key, depth + 1)}:{shown(value[key], depth + 1)}" for key in islice(value, LONGEST)]
            text = f"{{{','.join(inside)}}}"
        case str():
            text = f"'{value}'" if _reads_otherwise(value) else value
        case int() if abs(value) >= 2**63:
            text = f"{'-' if value < 0 else ''}2^{value.bit_length() - 1} or more"
        case _:
            text = str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _reads_otherwise(text: str) -> bool:
    """True for a text that must be quoted, as it would be read as a number, true, false, null or nothing."""
    try:
        float(text)
    except ValueError:
        return text.lower() in ("", "true", "false", "null")
    return True


def _convert_union(members: tuple[Any, ...], value: Any) -> Value:
    if value is None and type(None) in members:
        return None
    kinds = [member for member in members if member is not type(None)]
    if float in kinds and bool not in kinds:
        kinds = [kind for kind in kinds if kind is not int]  # a whole number is a number
    elif bool in kinds and (int in kinds or float in kinds):
        raise _unsupported(" | ".join(member.__name__ for member in members))
    reasons = []
    for kind in kinds:
        try:
            return convert(kind, value)
        except WrongType as mismatch:
            reasons.append(str(mismatch))
    raise WrongType(" or ".join([*reasons, "null"] if type(None) in members else reasons))


def _convert_literal(allowed: tuple[Any, ...], value: Any) -> Value:
    if any(value == item and type(value) is type(item) for item in allowed):
        return cast(Value, value)
    raise WrongType(f"not allowed; {nearest(str(value), [shown(item) for item in allowed])}")


def _convert_list(members: tuple[Any, ...], value: Any) -> Value:
    if len(members) == 2 and members[1] is not Ellipsis:
        raise _unsupported("tuple of a fixed length")
    if not isinstance(value, list | tuple):
        example = get_args(members[0])[:1] or (0.5, 0.75)
        raise WrongType(f"must be a list such as {shown(example)}")
    return tuple(cast(float, _convert_item(members[0], item)) for item in value)


def _convert_item(annotation: Any, item: Any) -> Value:
    try:
        return convert(annotation, item)
    except WrongType as mismatch:
        subject = f"{shown(item)} is" if get_origin(annotation) is Literal else "each item"
        raise WrongType(f"{subject} {mismatch}") from None


def _convert_scalar(annotation: Any, value: Any) -> Value:
    if annotation is bool:
        return _expect(isinstance(value, bool), value, "must be true or false")
    if annotation is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return _expect(whole and abs(value) < 2**63, value, "must be a whole number" + " below 2^63" * whole)
    if annotation is float:
        return _convert_float(value)
    if annotation is str:
        return _expect(isinstance(value, str), value, "must be text; quote it")
    if annotation is type(None):
        return _expect(value is None, value, "cannot be set, as its type is unknown; annotate it where it is defined")
    raise _unsupported(annotation)


def _convert_float(value: Any) -> float:
    finite = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    if not finite:
        raise WrongType("must be a finite number such as 0.1")
    if abs(value) > LARGEST_FLOAT32:
        raise WrongType("must be a finite number that float32 can hold, at most 3.4e38")
    return float(value) + 0.0  # no negative zero, which equals zero but has another identity


def _expect(right: bool, value: Any, message: str) -> Value:
    if right:
        return cast(Value, value)
    raise WrongType(message)


def _unsupported(annotation: Any) -> WrongType:
    kinds: Iterable[str] = ("bool", "int", "float", "str", "Literal[...]", "tuple[float, ...]", "one of these | None")
    name = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
    return WrongType(f"its type {name or annotation} is not one that a command line can set: {', '.join(kinds)}")
