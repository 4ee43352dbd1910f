"""A comparison from its first run to its verdicts: questions in order of what they tell per second, within a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bnbench import session
from bnbench.compare.design import Asked
from bnbench.study import Place, Row, ScaleName, Study, forecast_study, run_study, training_options
from bnbench.study.scorecards import decided

Train = Callable[[Study, str, session.Plan], session.Summary]
"""As the runner of studies has it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The size of a question.

    Attributes:
        runs: that are still to be trained.
        finished: that have a result already.
        seconds: that they are estimated to take.
        impossible: sentences on the runs that cannot be trained.
    """

    asked: Asked
    runs: int
    finished: int
    seconds: float
    impossible: tuple[str, ...]


@dataclass
class Dossier:
    """All that a comparison came to so far.

    Attributes:
        rows: by question, its verdicts: a row per reading and pair, in this order.
        unasked: by question, why it was not decided.
        remarks: by question, what cannot be asked of some arm.
        failures: runs without a result.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failures: int = 0


def forecast(asked: Sequence[Asked], scale: ScaleName, place: Place, jobs: int | None = None) -> list[Forecast]:
    """The size of each question, those first that tell most per second.

    Raises:
        BnbenchError: something is wrong with the settings of an arm in one of them.
    """
    sizes = []
    for one in asked:
        told = forecast_study(one.study, scale, place)
        resources = training_options(one.study, told.plan, jobs).resources(told.plan)
        seconds = session.estimate(told.plan, resources, 2 if told.tuning else 1).seconds if told.plan.pending else 0.0
        impossible = tuple(told.plan.infeasible)
        sizes.append(Forecast(one, len(told.plan.pending), len(told.plan.finished), seconds, impossible))
    return sorted(sizes, key=lambda size: size.seconds / len(size.asked.study.claims))


def compare(
    sizes: Sequence[Forecast],
    scale: ScaleName,
    place: Place,
    train: Train,
    budget: float = math.inf,
    show: Callable[[Asked, Sequence[Row]], None] = lambda asked, rows: None,
) -> Dossier:
    """Ask each question and decide it.

    Args:
        sizes: the questions, in the order in which they are asked.
        train: trains what is pending of a plan.
        budget: seconds; a question that is estimated to take longer than what is left is not begun.
        show: is called with each question that is decided.

    Raises:
        KeyboardInterrupt: the user stopped it; the next call goes on.
    """
    family = sum(len(size.asked.study.claims) for size in sizes)
    dossier, end = Dossier(), time.monotonic() + budget
    for size in sizes:
        name, left = size.asked.question.name, end - time.monotonic()
        if size.impossible:
            dossier.remarks[name] = size.impossible
        if size.seconds > left:
            dossier.unasked[name] = f"takes about {math.ceil(size.seconds)} s, and {max(left, 0):.0f} s were left"
            continue
        findings = run_study(size.asked.study, scale, place, train)
        dossier.failures += findings.failures
        dossier.rows[name] = decided(findings, family)
        show(size.asked, dossier.rows[name])
    return dossier


def by_reading(asked: Asked, rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    """The rows of a question by the name of their reading, one per pair."""
    count = len(asked.pairs)
    return {reading.name: rows[place * count : (place + 1) * count] for place, reading in enumerate(asked.readings)}
