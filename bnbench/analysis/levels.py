"""The values of a factor: made comparable, put in order, and turned into integer codes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.text import general

Level = str | float | bool | None
"""A value of a factor. None is an option that the run does not have."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NAMES = ("sweep",)
"""Factors whose levels are names that a user chose: ``007`` is not ``7``, and ``nan`` is one."""
DIGESTS = ("data", "plugin")
"""Factors whose levels are digests, or nothing: ``12e3`` is no number there."""
WORDS: dict[str, Level] = {"": None, "nan": None, "null": None, "true": True, "false": False}


def canonical(value: object) -> Level:
    """One level for all ways of writing a value: ``0.3``, ``0.30000000000000004`` and ``"0.3"`` are the same."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else float(f"{value:.12g}")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(level_text(canonical(part)) for part in value) + "]"
    return _parsed(str(value).strip())


def typed(factor: str, text: str) -> Level:
    """The level that a user means by a text; names of sweeps and digests are texts whatever they look like."""
    is_text = factor in NAMES or (factor in DIGESTS and text.lower() not in WORDS)
    return text if is_text else canonical(text)


def _parsed(text: str) -> Level:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(f"{float(text):.12g}")
    return text


def level_text(level: Level) -> str:
    """A level as a user would type it."""
    match level:
        case None:
            return "null"
        case bool():
            return str(level).lower()
        case int() | float():
            return general(level)
        case _:
            return level


def level_texts(levels: Sequence[Level]) -> list[str]:
    """Numeric levels with three significant digits, or as many more as it takes to tell them apart."""
    digits = level_digits(levels)
    return [short_text(level, digits) for level in levels]


def level_digits(levels: Sequence[Level]) -> int:
    """The significant digits that tell numeric levels apart: from 3 to 12."""
    for digits in range(3, 12):
        if len({short_text(level, digits) for level in levels}) == len(levels):
            return digits
    return 12


def short_text(level: Level, digits: int) -> str:
    """A level as a user would type it, rounded to so many significant digits."""
    return general(float(f"{level:.{digits}g}")) if type(level) is float else level_text(level)


def natural(level: Level) -> tuple[int, float, list[tuple[int, int, str]]]:
    """Sort key: nothing, then false and true, then numbers ascending, then names with their digits read as numbers."""
    match level:
        case None:
            return 0, 0.0, []
        case bool():
            return 1, float(level), []
        case int() | float():
            return 2, float(level), []
        case _:
            parts = re.findall(r"\d+|\D+", level)
            return 3, 0.0, [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def encode(column: pd.Series[Any], first: Iterable[Level] = ()) -> tuple[NDArray[np.int64], tuple[Level, ...]]:
    """Codes of a factor's values, and the levels they stand for in natural order, those in ``first`` ahead."""
    if column.dtype == object:
        column = column.map(lambda value: tuple(value) if isinstance(value, list) else value)
    codes, values = pd.factorize(column, use_na_sentinel=False)
    levels = [typed(str(column.name), value) if isinstance(value, str) else canonical(value) for value in values]
    ahead = {_identity(level) for level in first}
    distinct = {_identity(level): level for level in levels}
    ordered = sorted(distinct.values(), key=lambda level: (_identity(level) not in ahead, natural(level)))
    position = {_identity(level): code for code, level in enumerate(ordered)}
    table = np.array([position[_identity(level)] for level in levels], dtype=np.int64)
    return table[codes], tuple(ordered)


def _identity(level: Level) -> tuple[bool, Level]:
    return isinstance(level, bool), level


def same(one: Level, other: Level) -> bool:
    """Compare two levels; ``true`` is not 1."""
    return _identity(one) == _identity(other)
