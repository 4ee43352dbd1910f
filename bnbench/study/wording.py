"""A verdict in plain words, made from its numbers."""

from __future__ import annotations

import math

from bnbench.stats import ALPHA
from bnbench.study.definition import ONLY_CELL
from bnbench.study.row import Row
from bnbench.wording import general, plural

VERDICTS = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "no difference": "No difference worth the name",
    "inconclusive": "Inconclusive",
}


def sentence(row: Row) -> str:
    """What was found, by how much and how sure, and why where that is not plain from the numbers."""
    text = f"{VERDICTS[row.decision.verdict]}: {_finding(row)}"
    return f"{text} ({_doubt(row)})." if row.decision.verdict == "inconclusive" else f"{text}."


def _doubt(row: Row) -> str:
    """Why a verdict is inconclusive; the decision's own reason may quote signed numbers or logarithms."""
    decision = row.decision
    if "effect" not in decision.reason:
        return decision.reason
    if decision.p > ALPHA:
        return f"neither a difference (p = {decision.p:.2g}) nor its absence is shown"
    least = number(row, row.claim.smallest_effect)
    factor = "a factor of " if row.claim.contrast == "ratio" else ""
    there = f"there is a difference (p = {decision.p:.2g}), but"
    if decision.interval is not None and decision.interval.excludes(0.0):
        return f"{there} it may be below the smallest worth the name, {factor}{least}"
    return f"{there} its interval holds none"


def _finding(row: Row) -> str:
    arm, baseline = row.claim.compare
    what = row.claim.measure.phrase
    if math.isnan(row.effect):
        return f"{what} of {arm} and {baseline} cannot be compared"
    if len(row.claim.cells) == 2:
        first, second = row.claim.cells
        inside = f"from {baseline} to {arm}, {what} changes {_by(row)} in {first} than in {second}"
    else:
        (cell,) = row.claim.cells
        where = "" if cell == ONLY_CELL else f" in {cell}"
        inside = f"{what} with {arm}{where} is {_against(row)} {baseline}"
    return f"{inside}{_certainty(row)}; {_centres(row)}"


def _by(row: Row) -> str:
    if row.claim.contrast == "ratio":
        return f"by a factor {number(row, row.effect)} more"
    return f"by {number(row, abs(row.effect))} {'more' if row.effect >= 0 else 'less'}"


def _against(row: Row) -> str:
    if row.claim.contrast == "ratio" and row.effect in (0, math.inf):
        return f"{'finite' if row.effect == 0 else 'infinite'}, but not with"
    if row.claim.contrast == "ratio":
        return f"{number(row, row.effect)} times that with"
    return f"{number(row, abs(row.effect))} {'above' if row.effect >= 0 else 'below'} that with"


def _certainty(row: Row) -> str:
    seeds = plural(row.decision.n, "seed")
    return f" ({seeds})" if math.isnan(row.low) else f" (95% interval {interval(row)}, {seeds})"


def interval(row: Row) -> str:
    """The interval of the effect: ``0.012 to 0.034``; empty if there is none."""
    return "" if math.isnan(row.low) else f"{number(row, row.low)} to {number(row, row.high)}"


def effect(row: Row) -> str:
    """The effect with its sign, or as a factor; ``-`` if there is none."""
    if math.isnan(row.effect):
        return "-"
    return f"x {number(row, row.effect)}" if row.claim.contrast == "ratio" else f"{number(row, row.effect)}"


def number(row: Row, value: float) -> str:
    """A number in the unit of the claim: three digits; accuracies in percentage points."""
    if row.claim.measure.percent and row.claim.contrast == "difference":
        return f"{100 * value:.1f} points"
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
