"""A verdict in plain words, made from its numbers."""

from __future__ import annotations

import math

from bnbench.reports.wording import percent
from bnbench.stats import ALPHA
from bnbench.study.definition import ONLY_CELL
from bnbench.study.row import Row
from bnbench.text import general, plural

VERDICTS = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "no difference": "No difference worth the name",
    "inconclusive": "Inconclusive",
}


def sentence(row: Row) -> str:
    """The verdict with its size and certainty, and the reason where that is not plain from the numbers."""
    text = f"{VERDICTS[row.decision.verdict]}: {_finding(row)}"
    return f"{text} ({_doubt(row)})." if row.decision.verdict == "inconclusive" else f"{text}."


def reason(row: Row) -> str:
    """The reason of a verdict, with the effect signed as in the scorecard, not for the claim as in the decision."""
    decision = row.decision
    if "effect" not in decision.reason or decision.verdict == "inconclusive":
        return _doubt(row)
    p = f"p = {decision.p:.2g}"
    if decision.verdict == "no difference":
        p = f"{p}; p = {decision.equivalence_p:.2g} that it is as large"
    return f"effect {effect(row)}, smallest effect of interest {_least(row)} ({p})"


def _doubt(row: Row) -> str:
    """The reason why a verdict is inconclusive."""
    decision = row.decision
    if "effect" not in decision.reason:
        return decision.reason
    if decision.p > ALPHA:
        return f"neither a difference (p = {decision.p:.2g}) nor its absence is shown"
    there = f"there is a difference (p = {decision.p:.2g}), but"
    if decision.interval is not None and decision.interval.excludes(0.0):
        return f"{there} it may be below the smallest worth the name, {_least(row)}"
    return f"{there} its interval holds none"


def _least(row: Row) -> str:
    return f"{'a factor of ' if row.claim.contrast == 'ratio' else ''}{number(row, row.claim.smallest_effect)}"


def _finding(row: Row) -> str:
    arm, baseline = row.claim.compare
    quantity = row.claim.measure.phrase
    if math.isnan(row.effect):
        return f"{quantity} of {arm} and {baseline} cannot be compared"
    if len(row.claim.cells) == 2:
        first, second = row.claim.cells
        change = f"the change of {quantity} from {baseline} to {arm}"
        inside = f"{change} in {first} {_against(row)} that in {second}{_by(row)}"
    else:
        (cell,) = row.claim.cells
        where = "" if cell == ONLY_CELL else f" in {cell}"
        inside = f"{quantity} with {arm}{where} {_against(row)} that with {baseline}{_by(row)}"
    return f"{inside}{_certainty(row)}; {_centres(row)}"


def _against(row: Row) -> str:
    if row.claim.contrast == "difference":
        return "differs from"
    if row.effect in (0, math.inf):
        return f"is {'finite' if row.effect == 0 else 'infinite'}, unlike"
    return f"is {number(row, row.effect)} times"


def _by(row: Row) -> str:
    """The size of a difference, in the table's sign."""
    return f" by {effect(row)}" if row.claim.contrast == "difference" else ""


def _certainty(row: Row) -> str:
    seeds = plural(row.decision.n, "seed")
    return f" ({seeds})" if math.isnan(row.low) else f" (95% interval {interval(row)}, {seeds})"


def interval(row: Row) -> str:
    """The interval of the effect: ``+0.012 to +0.034``; empty if there is none."""
    return "" if math.isnan(row.low) else f"{_signed(row, row.low)} to {_signed(row, row.high)}"


def effect(row: Row) -> str:
    """The effect with its sign, or as a factor; ``-`` if there is none."""
    if math.isnan(row.effect):
        return "-"
    return f"{'x ' if row.claim.contrast == 'ratio' else ''}{_signed(row, row.effect)}"


def _signed(row: Row, value: float) -> str:
    text = number(row, value)
    is_shown = any(digit in text for digit in "123456789")
    return f"+{text}" if row.claim.contrast == "difference" and value > 0 and is_shown else text


def number(row: Row, value: float) -> str:
    """A number in the unit of the claim: three digits; accuracies in percentage points."""
    if row.claim.measure.percent and row.claim.contrast == "difference":
        return f"{percent(value)} points"
    return _short(value)


def _short(value: float) -> str:
    return general(float(f"{value:.3g}")) if math.isfinite(value) else str(value).replace("inf", "infinite")


def _centres(row: Row) -> str:
    kind = "median" if row.claim.measure.estimand == "median" else "mean"
    parts = []
    for (arm, cell), value in row.centres.items():
        text = f"{100 * value:.1f}%" if row.claim.measure.percent else _short(value)
        parts.append(f"{arm} {text}" + (f" ({cell})" if len(row.claim.cells) == 2 else ""))
    return f"{kind}: {', '.join(parts)}"


def chosen(rates: tuple[float, ...]) -> str:
    """The learning rates that replicates chose: ``0.3``, or ``0.3(0.1..1)`` with the lowest and the highest."""
    middle = sorted(rates)[len(rates) // 2]
    return f"{middle:g}" + (f"({min(rates):g}..{max(rates):g})" if min(rates) < max(rates) else "")
