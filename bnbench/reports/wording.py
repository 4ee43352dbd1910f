"""Numbers written for people."""

from __future__ import annotations

import math
from decimal import Decimal

from bnbench.text import general


def percent(fraction: float) -> str:
    """A fraction in percent with one decimal and no sign: ``97.2``."""
    return f"{100 * fraction:.1f}".replace("-0.0", "0.0") if abs(fraction) < 5e-4 else f"{100 * fraction:.1f}"


def target(fraction: float) -> str:
    """A target accuracy: ``95%``, ``97.5%``."""
    return f"{general(round(100 * fraction, 6))}%"


def count(value: float) -> str:
    """A number of steps or epochs: ``12,400``, ``2.5``, or ``never`` when it is infinite."""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def magnitude(value: float) -> str:
    """A large number to three digits: ``850``, ``79.4k``, ``1.2M``, or ``never`` when it is infinite."""
    if math.isinf(value):
        return "never"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ratio(value: float) -> str:
    """A speed-up: ``3.2x``, ``0.85x``, ``120x``, and two digits of one below a tenth: ``0.0012x``."""
    if 0 < value < 0.1:
        return f"{Decimal(f'{value:.1e}'):f}x"
    digits = 2 if value < 0.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}x"


def signed_percent(fraction: float) -> str:
    """A difference in percentage points with its sign: ``+1.2``, ``-0.3``, ``0.0``."""
    text = percent(fraction)
    return text if text == "0.0" or text.startswith("-") else f"+{text}"
