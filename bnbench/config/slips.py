"""Slips of the pen: settings that cannot be used, written right. Each answer is tried before it is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, get_origin

from bnbench.schema.convert import WrongType, convert, shown

LONGEST = 200
"""Characters of a text that is looked at; nobody writes longer ones by hand."""

TRUTH = {"yes": True, "on": True, "no": False, "off": False, 1: True, 0: False}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_SPAN = re.compile(r"(\d+)\s*(:|-|\.{2,3})\s*(\d+)")
_RANGE = re.compile(rf"range[\s(:]+({_NUMBER}(?:[\s,:]+{_NUMBER}){{0,2}})\s*\)?", re.IGNORECASE)


def typed(text: str) -> str:
    """A setting as one word of a shell: ``'seed=range(3)'``."""
    return shlex.quote(text)


def joined(texts: Sequence[str], problems: list[str]) -> list[str]:
    """The texts, with what blanks have torn apart in one piece again; each such piece is added to ``problems``.

    ``["norm=batch,", "layer"]`` becomes ``["norm=batch,layer"]``, and so do ``["norm", "=", "batch,layer"]``.
    """
    pieces = [[text] for text in texts[:1]]
    for before, text in pairwise(texts):
        if _belongs(before, text):
            pieces[-1].append(text)
        else:
            pieces.append([text])
    for piece in pieces:
        if len(piece) > 1:
            place = "after a comma" if any(part.endswith(",") for part in piece[:-1]) else "inside a setting"
            remedy = f"leave no blank {place}: write {typed(_whole(piece))}, or quote the whole setting"
            problems.append(f"{shown(repr(' '.join(piece)))}: {remedy}")
    return [_whole(piece) for piece in pieces]


def _belongs(before: str, text: str) -> bool:
    """True for a text that goes on where the one before it stopped."""
    if text.startswith("="):
        return "=" not in before and before != ""
    return "=" not in text and (before.endswith((",", "=", "=range")) or text.startswith(","))


def _whole(piece: Sequence[str]) -> str:
    whole = "".join(piece)
    return re.sub(rf"=range({_NUMBER})$", r"=range(\1)", whole) if len(piece) > 1 else whole


def repaired(text: str, groups: Callable[[str], str | None], readable: Callable[[str], bool]) -> str | None:
    """A text that is no override, as its writer may have meant it, with the reason; None if nobody knows.

    Args:
        groups: the config group that offers a name, or None.
        readable: whether a text is an override.
    """
    if len(text) > LONGEST:
        return None
    for reason, candidate in _repairs(text, groups):
        if candidate != text and readable(candidate):
            return f"{reason}; write {typed(candidate)}"
    return None


def _repairs(text: str, groups: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    key, equals, value = text.partition("=")
    if not equals:
        name, _, rest = text.partition(":")
        if group := groups(text):
            yield f"{group} is chosen by key=value", f"{group}={text}"
        if rest:
            yield "a key and its value are joined by =", f"{name}={rest}"
        return
    yield "blanks stand around the key", f"{key.strip()}={value}"
    yield "there is one = too many", f"{key}={value.lstrip('=')}"
    yield "a value is missing at a comma", f"{key}={','.join(part for part in value.split(',') if part.strip())}"
    yield "values are separated by commas", f"{key}={','.join(re.split(r'[;|]', value))}"
    yield "a bracket is not closed", f"{text}{')' if value.count('(') > value.count(')') else ']'}"
    if bracketed := re.fullmatch(r"\s*[({<]([^][(){}<>:]+)[)}>]\s*", value):
        yield "several values stand without brackets", f"{key}={bracketed.group(1)}"


def rewritten(key: str, annotation: Any, value: Any, beside: Sequence[Any]) -> str:
    """``"; write key=..."`` where one can see what a value of the wrong type was meant to be, or nothing.

    Args:
        annotation: the type that is wanted.
        beside: all values of the setting.
    """
    if (isinstance(value, str) and len(value) > LONGEST) or len(beside) > LONGEST:
        return ""
    if wants_list(annotation) and not any(isinstance(item, list) for item in beside):
        wrong = _mismatch(annotation, list(beside))
        return f"; write {typed(f'{key}={shown(list(beside))}')}{f', but {wrong}' if wrong else ''}"
    for text, values in _corrections(value):
        if values and all(_mismatch(annotation, item) is None for item in values):
            return f"; write {typed(f'{key}={text}')}"
    return ""


def _corrections(value: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """The values that may be meant: each as it is typed, with the values that this stands for."""
    if isinstance(value, list):
        yield ",".join(map(shown, value)), value
        return
    if isinstance(value, float) and value.is_integer():
        yield str(int(value)), [int(value)]
    if isinstance(value, bool):
        return
    if value in TRUTH or (isinstance(value, str) and value.lower() in TRUTH):
        right = TRUTH[value.lower() if isinstance(value, str) else value]
        yield shown(right), [right]
    if not isinstance(value, str):
        return
    if value.lower() in ("none", "nil", "off", "no"):
        yield "null", [None]
    if span := _SPAN.fullmatch(value.strip()):
        first, sign, last = span.groups()
        end = int(last) + (sign != ":")
        yield f"range({first},{end})", [int(first), end]
    if called := _RANGE.fullmatch(value.strip()):
        numbers = re.split(r"[\s,:]+", called.group(1))
        yield f"range({','.join(numbers)})", [_number(number) for number in numbers]
    parts = re.split(r"\s*[\s;|:]\s*", value.strip())
    yield ",".join(parts), [_number(part) for part in parts]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _mismatch(annotation: Any, value: Any) -> str | None:
    try:
        convert(annotation, value)
    except WrongType as mismatch:
        return str(mismatch)
    return None


def wants_list(annotation: Any) -> bool:
    """True for the type of a list."""
    return get_origin(annotation) in (tuple, list)


def several(value: object, offers: Callable[[str], bool]) -> str | None:
    """Names that stand in one value without commas, with commas: ``"batch/layer"`` as ``"batch,layer"``."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return None
    parts = re.split(r"\s*[\s;|/:+]\s*", value.strip())
    return ",".join(parts) if len(parts) > 1 and all(map(offers, parts)) else None
