"""A comparison from its first run to its verdicts: questions in order of what they tell per second, within a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pandas as pd

from bnbench import session
from bnbench.comparison.asking import Answer, Size, Terms, Watch, answers
from bnbench.comparison.deadline import Deadline
from bnbench.comparison.design import Asked
from bnbench.comparison.ranks import Rank
from bnbench.errors import InvalidRequest, NothingPossible
from bnbench.study import Place, Row, ScaleName, forecast_study, training_options
from bnbench.study.questions import Reading


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

    def add(self, size: Size, answer: Answer) -> None:
        """Take in what a question came to."""
        name = size.asked.name
        self.rows[name] = answer.rows
        self.values |= {(name, reading): values for reading, values in answer.values.items()}
        self.ranks |= {(name, reading): places for reading, places in answer.ranks.items()}
        self.failures += answer.failures
        if answer.remarks:
            self.remarks[name] = answer.remarks
        self.taken_over[size.plan.folder.name] = answer.taken_over


def sizes(asked: Sequence[Asked], scale: ScaleName, place: Place) -> tuple[list[Size], dict[str, str]]:
    """The size of each question, those first that decide most claims per example that is trained on.

    Steps that are timed one by one come last: they take time whatever their number.

    Returns:
        also why a question cannot be asked of any arm, by its name.

    Raises:
        BnbenchError: something is wrong with the settings of an arm in one of them, or none can be asked.
    """
    found, refused = [], {}
    for one in asked:
        try:
            told = forecast_study(one.study, scale, place)
        except NothingPossible as error:
            refused[one.name] = error
            continue
        impossible = tuple(told.plan.infeasible)
        stages, elsewhere = 2 if told.tuning else 1, told.elsewhere_counts
        found.append(Size(one, told.plan, len(told.plan.finished), impossible, stages, elsewhere))
    if not found:
        raise InvalidRequest(problem for error in refused.values() for problem in error.problems)
    return sorted(found, key=_examples_per_claim), {
        name: f"it is possible for no arm: {'; '.join(error.problems)}" for name, error in refused.items()
    }


def _examples_per_claim(size: Size) -> tuple[bool, float]:
    specs = size.plan.specs.values()
    examples = sum(spec.batch_size * (spec.steps or 0) + PER_EPOCH * (spec.epochs or 0) for spec in specs)
    return size.asked.study.alone, examples / len(size.asked.study.claims)


PER_EPOCH = 1000
"""Examples of an epoch, to put questions in order."""
NONE_REFUSED: Mapping[str, str] = {}


def results_elsewhere(found: Sequence[Size]) -> Counter[str]:
    """How many results will be taken over from other sweeps, by their name."""
    return sum((Counter(size.elsewhere) for size in found), Counter[str]())


def estimated_seconds(size: Size, jobs: int | None = None) -> float:
    """The time that a question takes once it is planned, from a few measured steps of each kind."""
    if not size.plan.pending:
        return 0.0
    resources = training_options(size.asked.study, size.plan, jobs).resources(size.plan)
    parts = session.estimate(size.plan, resources, size.stages)
    return parts.dividing + parts.starting + parts.training


def compare(
    found: Sequence[Size],
    terms: Terms,
    budget: float = math.inf,
    show: Callable[[Asked, Sequence[Row]], None] = lambda asked, rows: None,
    watch: Watch = lambda name, progress: None,
    refused: Mapping[str, str] = NONE_REFUSED,
) -> Dossier:
    """Ask each question and decide it.

    Args:
        found: the questions, in the order in which they are begun.
        budget: seconds; questions that are asked when they are over are left where they are, and so are the others.
        show: is called with each question that is decided.
        watch: is shown what trains.
        refused: why other questions are not asked, by their names.

    Raises:
        KeyboardInterrupt: the user stopped it; the next call goes on.
    """
    dossier, deadline = Dossier(unasked=dict(refused)), Deadline(budget)
    with closing(answers(found, terms, watch)) as ends:
        while True:
            try:
                with deadline.interrupting():
                    end = next(ends, None)
            except KeyboardInterrupt:
                if not deadline.interrupted:
                    raise
                end = None
            if end is None:
                break
            dossier.add(*end)
            show(end[0].asked, end[1].rows)
    dossier.rows = {size.asked.name: dossier.rows[size.asked.name] for size in found if size.asked.name in dossier.rows}
    for size in found:
        if size.asked.name not in dossier.rows:
            dossier.unasked[size.asked.name] = "the time was up; the same command goes on"
            dossier.remarks |= {size.asked.name: size.impossible} if size.impossible else {}
    return dossier


def by_reading(asked: Asked, dossier: Dossier) -> Iterator[tuple[Reading, Sequence[Row]]]:
    """The readings of a question that were decided, each with its rows, one per pair."""
    count, rows = len(asked.pairs), dossier.rows.get(asked.name, [])
    for place, reading in enumerate(asked.readings):
        if its := rows[place * count : (place + 1) * count]:
            yield reading, its
