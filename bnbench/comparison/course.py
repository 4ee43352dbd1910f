"""A comparison from its first run to its verdicts: questions in order of what they tell per second, within a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bnbench import session, store
from bnbench.comparison.deadline import Deadline
from bnbench.comparison.design import Asked
from bnbench.comparison.ranks import Rank, ranks
from bnbench.comparison.values import replicate_values
from bnbench.study import Place, Row, ScaleName, Study, forecast_study, run_study, training_options
from bnbench.study.scorecards import decided
from bnbench.text import listing, plural

Train = Callable[[Study, str, session.Plan], session.Summary]
"""As the runner of studies has it."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a question.

    Attributes:
        plan: all its runs, with the middle of the grid for learning rates that are yet to be chosen.
        finished: runs that have a result already, here or elsewhere.
        impossible: sentences on the runs that cannot be trained.
        stages: in which its runs are trained: to tune, and to report.
        elsewhere: how many results will be taken over from other sweeps, by their name.
    """

    asked: Asked
    plan: session.Plan
    finished: int
    impossible: tuple[str, ...]
    stages: int
    elsewhere: Mapping[str, int]

    @property
    def runs(self) -> int:
        """Runs that are still to be trained."""
        return len(self.plan.pending)


@dataclass
class Dossier:
    """All that a comparison came to so far.

    Attributes:
        rows: by question, its verdicts: a row per reading and pair, in this order.
        values: by question and reading, the number of each arm in each replicate.
        ranks: by question and reading, the place of each arm.
        unasked: by question, why it was not decided.
        remarks: by question, what cannot be asked of some arm.
        failures: runs without a result.
        taken_over: by the sweep of a question, how many of its runs came from which others.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    values: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    ranks: dict[tuple[str, str], Mapping[str, Rank]] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failures: int = 0
    taken_over: dict[str, Counter[str]] = field(default_factory=dict)


def sizes(asked: Sequence[Asked], scale: ScaleName, place: Place) -> list[Size]:
    """The size of each question, those first that decide most claims per example that is trained on.

    Steps that are timed one by one come last: they take time whatever their number.

    Raises:
        BnbenchError: something is wrong with the settings of an arm in one of them.
    """
    found = []
    for one in asked:
        told = forecast_study(one.study, scale, place)
        impossible = tuple(told.plan.infeasible)
        stages, elsewhere = 2 if told.tuning else 1, told.elsewhere_counts
        found.append(Size(one, told.plan, len(told.plan.finished), impossible, stages, elsewhere))
    return sorted(found, key=_examples_per_claim)


def _examples_per_claim(size: Size) -> tuple[bool, float]:
    specs = size.plan.specs.values()
    examples = sum(spec.batch_size * (spec.steps or 0) + PER_EPOCH * (spec.epochs or 0) for spec in specs)
    return size.asked.study.alone, examples / len(size.asked.study.claims)


PER_EPOCH = 1000
"""Examples of an epoch, to put questions in order."""


def results_elsewhere(found: Sequence[Size]) -> Counter[str]:
    """How many results will be taken over from other sweeps, by their name."""
    return sum((Counter(size.elsewhere) for size in found), Counter[str]())


def estimated_seconds(size: Size, jobs: int | None = None) -> float:
    """The time that the runs of a question take, from a few measured steps of each kind."""
    if not size.plan.pending:
        return 0.0
    resources = training_options(size.asked.study, size.plan, jobs).resources(size.plan)
    return session.estimate(size.plan, resources, size.stages).seconds


def compare(
    found: Sequence[Size],
    scale: ScaleName,
    place: Place,
    train: Train,
    budget: float = math.inf,
    show: Callable[[Asked, Sequence[Row]], None] = lambda asked, rows: None,
) -> Dossier:
    """Ask each question and decide it.

    Args:
        found: the questions, in the order in which they are asked.
        train: trains what is pending of a plan.
        budget: seconds; the question that is asked when they are over is left where it is, and so are the others.
        show: is called with each question that is decided.

    Raises:
        KeyboardInterrupt: the user stopped it; the next call goes on.
    """
    family = sum(len(size.asked.study.claims) for size in found)
    dossier, deadline = Dossier(), Deadline(budget)
    for size in found:
        name = size.asked.name
        if size.impossible:
            dossier.remarks[name] = size.impossible
        try:
            with deadline.interrupting():
                _ask(size, scale, place, train, family, dossier)
        except KeyboardInterrupt:
            if not deadline.interrupted:
                raise
        if name in dossier.rows:
            show(size.asked, dossier.rows[name])
        else:
            dossier.unasked[name] = "the time was up; the same command goes on"
    return dossier


def _ask(size: Size, scale: ScaleName, place: Place, train: Train, family: int, dossier: Dossier) -> None:
    """Train what a question lacks, and decide it; a time that is up already leaves it."""
    name = size.asked.name
    findings = run_study(size.asked.study, scale, place, train)
    rows = decided(findings, family)
    for reading in size.asked.readings:
        values = replicate_values(findings, reading)
        dossier.values[name, reading.name] = values
        dossier.ranks[name, reading.name] = ranks(values, reading)
    dossier.failures += findings.failures
    if findings.failures:
        dossier.remarks[name] = (*dossier.remarks.get(name, ()), *_failures(size))
    dossier.taken_over[size.plan.folder.name] = store.taken_over(size.plan.folder)
    dossier.rows[name] = rows


def _failures(size: Size) -> Iterator[str]:
    """A sentence for each error of runs that failed, with the norms that it befell."""
    runs = store.load_runs(size.plan.folder)
    failed = runs[runs["status"].isin(store.FAILURES) & runs["run_id"].isin(list(size.plan.specs))]
    for error, rows in failed.groupby("error", sort=False):
        yield f"{plural(len(rows), 'run')} of {listing(list(rows['norm'].unique()))} failed: {error}"


def by_reading(asked: Asked, rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    """The rows of a question by the name of their reading, one per pair."""
    count = len(asked.pairs)
    return {reading.name: rows[place * count : (place + 1) * count] for place, reading in enumerate(asked.readings)}
