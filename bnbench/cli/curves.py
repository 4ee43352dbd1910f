"""Curves as one line of text each."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from bnbench.text import general

BLOCKS, LETTERS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
"""Heights from low to high, and those for consoles that lack the former."""
WIDTH = 60


def curve(values: Sequence[float]) -> str:
    """Values as heights, then the first and the last of them; an ``x`` for what is no finite number.

    Of more than WIDTH values, the last ones of so many equal parts are shown.
    """
    count = min(len(values), WIDTH)
    shown = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    finite = [value for value in shown if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    heights = _heights()
    top = len(heights) - 1
    text = "".join(heights[round(top * _share(value, low, high))] if math.isfinite(value) else "x" for value in shown)
    return f"{text}  {general(values[0])} to {general(values[-1])}" if values else ""


def _share(value: float, low: float, high: float) -> float:
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0


def _heights() -> str:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return LETTERS
    return BLOCKS
