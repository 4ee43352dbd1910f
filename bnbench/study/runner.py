"""A study from its first run to the tables that its claims are decided on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bnbench import session, store
from bnbench.paths import expanded
from bnbench.plugins import known_components
from bnbench.schema import Known
from bnbench.study.definition import Scale, ScaleName, Study
from bnbench.study.design import Group, Rates, Trials, counterparts, groups, in_all, reporting_trials, tuning_trials
from bnbench.study.lr_curve import CurveMeasure, between, curves
from bnbench.study.measure import Side, Tables
from bnbench.study.overrides import suffix
from bnbench.study.tables import read_tables
from bnbench.study.tuning import MOST_EXTENSIONS, WIDENS, Grids, Tuning, tune, widened

Train = Callable[[Study, str, session.Plan], session.Summary]
"""Trains what is pending of a plan, and is told which stage of which study it is."""


@dataclass(frozen=True)
class Place:
    """The folders in which studies are carried out, and the user's own components."""

    results: Path
    data: Path
    plugin: Path | None = None
    retry_failed: bool = False

    @cached_property
    def components(self) -> Known:
        """The components of the runs: a plugin is read once, and a later change of its file changes nothing."""
        return known_components(self.plugin)

    @cached_property
    def results_index(self) -> store.ResultIndex:
        """The results of all sweeps, from any of which runs are taken over."""
        return store.ResultIndex(session.Paths(self.results, self.data).absolute().results)


@dataclass(frozen=True)
class Findings:
    """The results of a study, before its claims are decided.

    Attributes:
        tables: reporting runs of each replicate at its learning rate.
        curves: reporting runs at all learning rates, and at some between them, where a claim needs them.
        tuning: the chosen learning rates.
        failed: the run_ids of those without a result.
    """

    study: Study
    scale: ScaleName
    tables: Tables
    curves: Tables
    tuning: Tuning
    failed: frozenset[str]

    @property
    def failures(self) -> int:
        """How many runs have no result."""
        return len(self.failed)


def sweep_name(study: Study, scale: ScaleName) -> str:
    """The sweep that holds all runs of a study; one with changes has a sweep of its own."""
    return f"study-{study.name}-{scale}{suffix(study.changes)}"


def check_places(studies: Sequence[Study], scale: ScaleName, place: Place) -> None:
    """Refuse studies whose sweeps cannot be kept where they are asked for, before anything is planned.

    Raises:
        BnbenchError: as :func:`store.check_place`.
    """
    for study in studies:
        store.check_place(expanded(place.results, "--results"), sweep_name(study, scale))


def run_study(study: Study, scale: ScaleName, place: Place, train: Train) -> Findings:
    """Train what a study still lacks: tuning runs, then reporting runs at the chosen learning rates.

    Raises:
        BnbenchError: something is wrong with the study's settings.
        KeyboardInterrupt: the user stopped it; the next call goes on.
    """
    course = _Course(study, scale, place, train)
    tuning = tune(groups(study, every_lr=False), course.amounts.lr, course.amounts.seeds, course.tuning)
    swept = course.curves(groups(study, every_lr=True))
    replicates = range(course.amounts.seeds)
    chosen = {
        group: [(rates[one],) if one in rates else () for one in replicates] for group, rates in tuning.chosen.items()
    }
    return Findings(study, scale, course.reporting(chosen), swept, tuning, course.failed)


def execute(
    study: Study,
    plan: session.Plan,
    jobs: int | None,
    watch: Callable[[session.Progress], None] = lambda progress: None,
) -> session.Summary:
    """Train what is pending of a plan; one that measures times has one worker, and takes steps in turns.

    Args:
        jobs: worker processes; 1 trains in this process, unless on a GPU.
        watch: is shown the progress.
    """
    return session.execute(plan, training_options(study, plan, jobs), watch)


def training_options(study: Study, plan: session.Plan, jobs: int | None = None) -> session.TrainingOptions:
    """The way in which the runs of a study are trained; see :func:`execute`."""
    if study.alone:
        return session.options_without_launcher(plan, 1, "off")
    return session.options_without_launcher(plan, jobs)


@dataclass
class _Course:
    """The steps of one study, and the statuses of its runs by run_id."""

    study: Study
    scale: ScaleName
    place: Place
    train: Train
    statuses: dict[str, str] = field(default_factory=dict)

    @property
    def amounts(self) -> Scale:
        return self.study.scales[self.scale]

    @property
    def failed(self) -> frozenset[str]:
        return frozenset(identity for identity, status in self.statuses.items() if status in store.FAILURES)

    def tuning(self, grids: Mapping[Group, Sequence[float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        rates = in_all(grids, self.amounts.seeds)
        trials = tuning_trials(self.study, self.amounts, rates, self.place.components)
        folder, table = self._execute(trials, "tuning")
        runs = store.load_runs(folder)
        return table, runs[runs["run_id"].isin(table["run_id"])]

    def reporting(self, rates: Rates, grids: Grids | None = None) -> Tables:
        """Train the reporting runs; learning rates outside of the grid of their cell are refinements of it."""
        if not any(map(any, rates.values())):
            return Tables(*(pd.DataFrame(),) * 3)
        trials = reporting_trials(self.study, self.amounts, rates, self.place.components)
        folder, table = self._execute(trials, "reporting", self.study.alone)
        on_grid = [grids is None or lr in grids[cell] for cell, lr in zip(table["cell"], table["lr"], strict=True)]
        return read_tables(folder, table.assign(refined=~np.array(on_grid)))

    def curves(self, swept: list[Group]) -> Tables:
        """Train reporting seeds at a whole grid, which grows while curves touch its end, and then between its rates."""
        grids: Grids = {cell: list(self.amounts.lr) for _, cell in swept}
        for extension in range(MOST_EXTENSIONS + 1):
            rates = in_all({group: grids[group[1]] for group in swept}, self.amounts.seeds)
            tables = self.reporting(rates, grids)
            sides = self._open_sides(tables) if swept and len(self.amounts.lr) > 1 else set()
            if not sides or extension == MOST_EXTENSIONS:
                break
            grids = widened(grids, sides)
        while swept and (closer := self._refined(rates, tables)) != rates:
            rates, tables = closer, self.reporting(closer, grids)
        return tables

    def _open_sides(self, tables: Tables) -> set[tuple[str, Side]]:
        """The ends of grids that the curves of more than a few replicates of some group touch."""
        counts = Counter(
            (arm, cell, side) for (arm, cell, _), curve in curves(tables.runs).items() for side in curve.open_sides
        )
        return {(cell, side) for (_, cell, side), count in counts.items() if count > WIDENS * self.amounts.seeds}

    def _refined(self, rates: Rates, tables: Tables) -> Rates:
        """The learning rates, with more of them where a claim asks for a limit that is not known well enough."""
        measures = [
            (claim.measure, set(claim.groups)) for claim in self.study.claims if isinstance(claim.measure, CurveMeasure)
        ]
        closer = {group: list(by_replicate) for group, by_replicate in rates.items()}
        for (arm, cell, pair), curve in curves(tables.runs).items():
            asked = [measure for measure, groups in measures if (arm, cell) in groups]
            more = [lr for measure in asked for lr in between(measure.brackets(curve))]
            closer[arm, cell][pair] = tuple(sorted({*rates[arm, cell][pair], *more}))
        return closer

    def _execute(self, trials: Trials, stage: str, interleaved: bool = False) -> tuple[Path, pd.DataFrame]:
        """Train what is pending; the sweep's folder, and the table with the identities that the runs have there."""
        plan = session.plan_request(
            trials.request,
            self.place.components,
            sweep_name(self.study, self.scale),
            session.Paths(self.place.results, self.place.data, self.place.plugin),
            retry_failed=self.place.retry_failed,
        )
        if not self.study.alone:
            plan = session.take_over(plan, self.place.results_index)
        table = trials.table.assign(run_id=trials.table["run_id"].replace(dict(plan.identities)))
        groups = counterparts(table) if interleaved else ()
        summary = self.train(self.study, stage, replace(plan, interleaved=groups))
        if summary.interrupted:
            raise KeyboardInterrupt
        self.statuses |= summary.statuses
        return plan.folder, table
