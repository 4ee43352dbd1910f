"""The verdicts on all claims of the studies that were carried out together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bnbench.stats import Decision, decide_together
from bnbench.study.contrast import Comparison, compare, signed, unsigned
from bnbench.study.definition import StudyClaim
from bnbench.study.lr_curve import curves
from bnbench.study.row import Row
from bnbench.study.runner import Findings

SEED = 0
"""Seed of the generator that draws resamples: the same runs give the same scorecard."""


def scorecard(found: Sequence[Findings]) -> list[Row]:
    """Decide all claims together; p-values are adjusted for their number (Holm 1979)."""
    asked = [(one, claim) for one in found for claim in one.study.claims]
    compared = [_compared(one, claim) for one, claim in asked]
    claims = [signed(claim, numbers.differences) for (_, claim), numbers in zip(asked, compared, strict=True)]
    decisions = decide_together(claims, np.random.default_rng(SEED))
    return [
        row_of(one, claim, numbers, decision)
        for (one, claim), numbers, decision in zip(asked, compared, decisions, strict=True)
    ]


def _compared(found: Findings, claim: StudyClaim) -> Comparison:
    tables = found.curves if claim.measure.every_lr else found.tables
    return compare(claim, claim.measure.values(tables), found.study.scales[found.scale].seeds)


def row_of(found: Findings, claim: StudyClaim, numbers: Comparison, decision: Decision) -> Row:
    """A claim as it was decided, its numbers with the sign of arm less baseline."""
    own = [group for group in claim.groups if not claim.measure.every_lr]
    doubts = [found.tuning.problems[group] for group in own if group in found.tuning.problems]
    if claim.measure.every_lr and np.isnan(numbers.differences).any():
        doubts += _open_ends(found, claim)
    if doubts:
        decision = replace(decision, verdict="inconclusive", reason="; ".join(dict.fromkeys(doubts)))
    interval = decision.interval
    limits = (
        [_possible(claim, unsigned(claim, end)) for end in (interval.low, interval.high)] if interval else [math.nan]
    )
    lr = {group: found.tuning.chosen[group] for group in own if group in found.tuning.chosen}
    effect = unsigned(claim, decision.effect)
    return Row(found.study.name, claim, decision, effect, min(limits), max(limits), numbers.centres, lr)


def _possible(claim: StudyClaim, limit: float) -> float:
    """The end of an interval, no further than a difference of shares can be."""
    if not claim.measure.percent or claim.contrast == "ratio":
        return limit
    most = float(len(claim.cells))
    return min(max(limit, -most), most)


def _open_ends(found: Findings, claim: StudyClaim) -> list[str]:
    """The arms whose learning rates go on beyond the grid."""
    found_curves = curves(found.curves.runs)
    ends = {(arm, cell): curve.lr for (arm, cell, _), curve in found_curves.items() if curve.open_sides}
    return [
        f"learning rates of {arm} that train go on beyond the grid {lr[0]:g} to {lr[-1]:g}"
        for (arm, cell), lr in ends.items()
        if (arm, cell) in claim.groups
    ]
