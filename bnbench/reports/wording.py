"""How numbers are written for people."""

from __future__ import annotations

import math


def general(value: float) -> str:
    """Six significant digits, no padding: ``0.01``, ``1e-5``, ``64``."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")


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
    """A speed-up: ``3.2x``, ``0.85x``, ``120x``."""
    digits = 2 if value < 0.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}x"


def listing(words: list[str]) -> str:
    """Words as a list in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
