"""A verdict in plain words, made from its numbers."""

from __future__ import annotations

import math

from bnbench.reports.wording import percent
from bnbench.stats import ALPHA
from bnbench.study.contrast import unsigned
from bnbench.study.definition import ONLY_CELL
from bnbench.study.design import Group
from bnbench.study.row import Row
from bnbench.text import general, plural

VERDICTS = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "no difference": "No difference worth the name",
    "inconclusive": "Inconclusive",
}

NO_RESULT = "no result"
"""In place of a number that is missing, as all runs of an arm failed: that is neither infinite nor never reached."""


POINTS = " points"
MANY = 1e4
"""Numbers from here on are written with commas."""


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
    if decision.p <= ALPHA:
        there = f"there is a difference (p = {decision.p:.2g})"
        return f"{there}, but it may be below the smallest worth the name, {_least(row)}"
    corrected = "" if decision.raw_p > ALPHA else f", {decision.raw_p:.2g} for this claim alone"
    return f"neither a difference (p = {decision.p:.2g}{corrected}) nor its absence is shown"


def _least(row: Row) -> str:
    return f"{'a factor of ' if row.claim.contrast == 'ratio' else ''}{number(row, row.claim.smallest_effect)}"


def _finding(row: Row) -> str:
    arm, baseline = row.claim.compare
    quantity = row.claim.measure.phrase
    replicates = plural(row.decision.n, "replicate")
    if math.isnan(row.effect):
        return f"{quantity} of {arm} and {baseline} cannot be compared ({replicates})"
    says = _interaction(row) if len(row.claim.cells) == 2 else _comparison(row)
    of_medians = row.decision.estimand == "median" != row.claim.measure.estimand
    certainty = ["the median difference"] * of_medians
    certainty += [] if math.isnan(row.low) else [f"95% interval {interval(row)}"]
    limits = f" ({'; '.join(certainty)})" if certainty else ""
    return f"across {replicates}, {says}{limits}; {'; '.join([_centres(row), *_failures(row)])}"


def _failures(row: Row) -> list[str]:
    """How many runs missed a target, and how many diverged."""
    arm, baseline = row.claim.compare
    n, divergence = row.decision.n, row.decision.divergence
    texts = [
        f"{row.claim.measure.missed}: {_place(row, group)} in {count} of {n}"
        for group, count in row.missed.items()
        if count
    ]
    if divergence is None:
        return texts
    texts.append(f"trained: {arm} {divergence.arm_trained} of {n}, {baseline} {divergence.baseline_trained} of {n}")
    if not math.isnan(divergence.both):
        texts.append(f"where both trained, {signed(row, unsigned(row.claim, divergence.both))} on average")
    return texts


def _place(row: Row, group: Group) -> str:
    arm, cell = group
    return f"{arm} ({cell})" if len(row.claim.cells) == 2 else arm


def _comparison(row: Row) -> str:
    """``test accuracy was 5.7 points higher with batch than with none``."""
    arm, baseline = row.claim.compare
    (cell,) = row.claim.cells
    where = "" if cell == ONLY_CELL else f" in {cell}"
    quantity = row.claim.measure.phrase
    if row.claim.contrast == "ratio" and row.effect in (0, math.inf):
        finite, infinite = (arm, baseline) if row.effect == 0 else (baseline, arm)
        return f"{quantity}{where}: {row.claim.measure.missed} with {infinite}, unlike with {finite}"
    if row.claim.contrast == "ratio":
        return f"{quantity}{where} with {arm} was {limit(row)}{number(row, row.effect)} times that with {baseline}"
    return f"{quantity}{where} was {_apart(row, 'higher', 'lower')} with {arm} {_than(row)} with {baseline}"


def _interaction(row: Row) -> str:
    """``from batch_64 to batch_2, batch lost 22.1 points more of test accuracy than layer``."""
    arm, baseline = row.claim.compare
    first, second = row.claim.cells
    quantity = row.claim.measure.phrase.rstrip(",")
    if row.claim.contrast == "ratio":
        factor = f"{number(row, row.effect)} times as much as"
        return f"from {second} to {first}, {quantity} changed with {arm} by {factor} with {baseline}"
    change = row.centres[arm, first] - row.centres[arm, second]
    verb, more, less = ("lost", "less", "more") if change < 0 else ("gained", "more", "less")
    return f"from {second} to {first}, {arm} {verb} {_apart(row, more, less)} {quantity} {_than(row)} {baseline}"


def _apart(row: Row, higher: str, lower: str) -> str:
    """``5.7 points higher``: the size of a difference, and its direction where it has one."""
    size = number(row, abs(row.effect))
    if not any(digit in size for digit in "123456789"):
        return "as high" if higher == "higher" else "as much"
    bound = limit(row) if row.effect > 0 else {"at most ": "at least ", "at least ": "at most ", "": ""}[limit(row)]
    return f"{bound}{size} {higher if row.effect > 0 else lower}"


def _than(row: Row) -> str:
    return "than" if any(digit in number(row, abs(row.effect)) for digit in "123456789") else "as"


def interval(row: Row) -> str:
    """The interval of the effect: ``+1.2 to +3.4 points``; empty if there is none."""
    if math.isnan(row.low):
        return ""
    return f"{signed(row, row.low).removesuffix(POINTS)} to {signed(row, row.high)}"


def effect(row: Row) -> str:
    """The effect with its sign, or as a factor; ``-`` if there is none."""
    if math.isnan(row.effect):
        return "-"
    return f"{limit(row)}{'x ' if row.claim.contrast == 'ratio' else ''}{signed(row, row.effect)}"


def limit(row: Row) -> str:
    """``at most``, ``at least``: what an effect is that misses leave open on one side."""
    bounds = row.decision.bounds
    low, high = sorted(unsigned(row.claim, end) for end in (bounds.low, bounds.high))
    if low == high or math.isnan(row.effect):
        return ""
    nothing = 0.0 if row.claim.contrast == "ratio" else -math.inf
    return "at most " if low == nothing else "at least " if math.isinf(high) else ""


def signed(row: Row, value: float) -> str:
    """A number in the unit of the claim, with its sign where it is a difference."""
    text = number(row, value)
    is_shown = any(digit in text for digit in "123456789")
    return f"+{text}" if row.claim.contrast == "difference" and value > 0 and is_shown else text


def number(row: Row, value: float) -> str:
    """A number in the unit of the claim: three digits; accuracies in percentage points."""
    if math.isnan(value):
        return NO_RESULT
    if row.claim.measure.percent and row.claim.contrast == "difference":
        return f"{percent(value)}{POINTS}"
    return _short(row, value)


def _short(row: Row, value: float) -> str:
    if math.isfinite(value):
        short = float(f"{value:.3g}")
        return f"{short:,.0f}" if abs(short) >= MANY else general(short)
    return f"minus {row.claim.measure.missed}" if value < 0 else row.claim.measure.missed


def _centres(row: Row) -> str:
    kind = "median" if row.claim.measure.estimand == "median" else "mean"
    return f"{kind}: {', '.join(f'{_place(row, group)} {centre(row, value)}' for group, value in row.centres.items())}"


def centre(row: Row, value: float) -> str:
    """The mean or median of an arm in a cell."""
    if math.isnan(value):
        return NO_RESULT
    return f"{100 * value:.1f}%" if row.claim.measure.percent else _short(row, value)


def chosen(rates: tuple[float, ...]) -> str:
    """The learning rates that replicates chose: ``0.3``, or ``0.3(0.1..1)`` with the lowest and the highest."""
    middle = sorted(rates)[len(rates) // 2]
    return f"{middle:g}" + (f"({min(rates):g}..{max(rates):g})" if min(rates) < max(rates) else "")
