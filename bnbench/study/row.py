"""One line of a scorecard."""

from __future__ import annotations

from dataclasses import dataclass

from bnbench.stats import Decision
from bnbench.study.definition import StudyClaim
from bnbench.study.design import Group


@dataclass(frozen=True)
class Row:
    """One claim and its verdict.

    Attributes:
        study: its name.
        decision: as :func:`bnbench.stats.decide_together` gave it, signed for the claim; inconclusive where a learning
            rate cannot be relied on.
        effect: arm less baseline, or their ratio; of two cells the first's less (or over) the second's.
        low: lower limit of the effect's 95% interval; NaN without one.
        high: its upper limit.
        centres: mean or median of each arm in each cell.
        missed: replicates of each arm in each cell whose value has no upper limit, such as a target not reached.
        lr: the learning rates that the replicates of each arm in each cell chose, where they did.
        load: the load of the machine, where the claim is about time and it was busy; else empty.
    """

    study: str
    claim: StudyClaim
    decision: Decision
    effect: float
    low: float
    high: float
    centres: dict[Group, float]
    missed: dict[Group, int]
    lr: dict[Group, tuple[float, ...]]
    load: str = ""
