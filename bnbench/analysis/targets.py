"""Target accuracies: what the user wrote, or derived from the results."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bnbench.errors import InvalidRequest

SHARES = (0.95, 0.99)


def parse_targets(texts: Iterable[str | float]) -> tuple[float, ...]:
    """Read targets written as fractions or percent: ``0.95`` or ``95%``; ascending, each once.

    Raises:
        InvalidRequest: one of them is not a number above 0 and at most 1 (100%).
    """
    targets, problems = set(), []
    for text in map(str, texts):
        value = _fraction(text.strip())
        if 0 < round(value, 9) and value <= 1:
            targets.add(round(value, 9))
        else:
            problems.append(f"target {text!r}: must be an accuracy above 0 and at most 1, written as 0.95 or 95%")
    if problems:
        raise InvalidRequest(problems)
    return tuple(sorted(targets))


def _fraction(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return math.nan


def derive_targets(best: float, chance: float) -> tuple[float, ...]:
    """95% and 99% of the best row's accuracy, rounded down to a whole percent; those not above chance are left out."""
    whole = sorted({math.floor(100 * share * best + 1e-9) / 100 for share in SHARES})
    return tuple(target for target in whole if target > chance)
