"""The verdicts on all claims of the studies that were carried out together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bnbench.stats import Decision, decide_together
from bnbench.study.catalog import family_size
from bnbench.study.contrast import Comparison, compare, signed, unsigned
from bnbench.study.definition import StudyClaim
from bnbench.study.lr_curve import curves
from bnbench.study.measure import PLACE, values_of
from bnbench.study.probe_measures import load_note
from bnbench.study.row import Row
from bnbench.study.runner import Findings

SEED = 0
"""Seed of the generator that draws resamples: the same runs give the same scorecard."""


def scorecard(studies: Sequence[Findings]) -> list[Row]:
    """Decide the claims of each study; p-values are adjusted for the claims of its family (Holm 1979).

    A verdict depends on the runs of its study alone, whatever else is carried out beside it.
    """
    return [row for findings in studies for row in decided(findings, family_size(findings.study))]


def decided(findings: Findings, family: int) -> list[Row]:
    """Decide the claims of one study.

    Args:
        family: the number of claims that were declared together with them, they included.
    """
    study = findings.study
    comparisons = [_comparison(findings, claim) for claim in study.claims]
    claims = [signed(claim, numbers) for claim, numbers in zip(study.claims, comparisons, strict=True)]
    generator = np.random.default_rng([SEED, *study.name.encode()])
    decisions = decide_together(claims, generator, family=family)
    return [
        row_of(findings, claim, numbers, decision)
        for claim, numbers, decision in zip(study.claims, comparisons, decisions, strict=True)
    ]


def _comparison(findings: Findings, claim: StudyClaim) -> Comparison:
    tables = findings.curves if claim.measure.every_lr else findings.tables
    diverged = pd.Series(dtype=bool) if tables.runs.empty else tables.runs.set_index(PLACE)["diverged"]
    return compare(claim, values_of(claim.measure, tables), diverged, findings.study.scales[findings.scale].seeds)


def row_of(findings: Findings, claim: StudyClaim, numbers: Comparison, decision: Decision) -> Row:
    """A claim as it was decided, its numbers with the sign of arm less baseline."""
    tuned = [group for group in claim.groups if not claim.measure.every_lr]
    doubts = [findings.tuning.problems[group] for group in tuned if group in findings.tuning.problems]
    if doubts:
        decision = replace(decision, verdict="inconclusive", reason="; ".join(dict.fromkeys(doubts)))
    elif claim.measure.every_lr and decision.verdict == "inconclusive" and (ends := _open_ends(findings, claim)):
        decision = replace(decision, reason="; ".join([decision.reason, *ends]))
    interval = decision.interval
    limits = (
        [_possible(claim, unsigned(claim, end)) for end in (interval.low, interval.high)] if interval else [math.nan]
    )
    lr = {group: tuple(findings.tuning.chosen[group].values()) for group in tuned if group in findings.tuning.chosen}
    effect = unsigned(claim, decision.effect)
    load = load_note(findings.tables.probes) if "step_time" in claim.measure.probes else ""
    return Row(
        findings.study.name,
        claim,
        decision,
        effect,
        min(limits),
        max(limits),
        numbers.centres,
        numbers.missed,
        lr,
        load,
    )


def _possible(claim: StudyClaim, limit: float) -> float:
    """The end of an interval, no further than a difference of shares can be."""
    if not claim.measure.percent or claim.contrast == "ratio":
        return limit
    most = float(len(claim.cells))
    return min(max(limit, -most), most)


def _open_ends(findings: Findings, claim: StudyClaim) -> list[str]:
    """The arms whose learning rates go on beyond the grid in some replicate."""
    found_curves = curves(findings.curves.runs)
    ends = {(arm, cell): curve.lr for (arm, cell, _), curve in found_curves.items() if curve.open_sides}
    return [
        f"learning rates of {arm} that train go on beyond the grid {lr[0]:g} to {lr[-1]:g}"
        for (arm, cell), lr in ends.items()
        if (arm, cell) in claim.groups
    ]
