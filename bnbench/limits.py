"""Limits of numbers: each function gives the problem of a number beyond them as a list, which is empty for one within.

A problem is ``name=value: must be ...``. None is within all limits: it stands for a setting that is not used.
"""

from __future__ import annotations

import math


def finite(name: str, value: float) -> list[str]:
    """A finite number."""
    return [] if math.isfinite(value) else [f"{name}={value}: must be a finite number"]


def above(name: str, value: float | None, bound: float) -> list[str]:
    """A finite number above a bound."""
    right = value is None or (value > bound and math.isfinite(value))
    return [] if right else [f"{name}={value}: must be a finite number above {bound}"]


def at_least(name: str, value: float | None, bound: float) -> list[str]:
    """A finite number, the bound or above it."""
    right = value is None or (value >= bound and math.isfinite(value))
    return [] if right else [f"{name}={value}: must be at least {bound}"]


def whole_at_least(name: str, value: float, bound: int) -> list[str]:
    """A whole number, the bound or above it; for values whose type nobody has looked at."""
    right = isinstance(value, int) and not isinstance(value, bool) and value >= bound
    return [] if right else [f"{name}={value}: must be a whole number, {bound} or more"]


def at_most(name: str, value: float | None, bound: float) -> list[str]:
    """A number, the bound or below it."""
    shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
    return [] if value is None or value <= bound else [f"{name}={value}: must be at most {shown}"]


def within(name: str, value: float | None, low: float, high: float) -> list[str]:
    """A number from a bound to another, both allowed."""
    return at_least(name, value, low) or at_most(name, value, high)


def between(name: str, value: float, low: float, high: float) -> list[str]:
    """A number above a bound and below another."""
    return [] if low < value < high else [f"{name}={value}: must be above {low} and below {high}"]


def share(name: str, value: float, below_one: bool = False) -> list[str]:
    """A number from 0 to 1, or to below 1."""
    allowed = 0 <= value < 1 if below_one else 0 <= value <= 1
    return [] if allowed else [f"{name}={value}: must be from 0 to {'below 1' if below_one else '1'}"]


def positive_share(name: str, value: float | None) -> list[str]:
    """A number above 0 and up to 1."""
    return [] if value is None or 0 < value <= 1 else [f"{name}={value}: must be above 0 and at most 1"]
