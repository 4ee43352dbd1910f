"""The course of a search: a batch of trials is chosen, planned and trained, until there are as many as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from bnbench import session, store
from bnbench.config import Point
from bnbench.errors import InvalidRequest
from bnbench.plugins import known_components
from bnbench.search.bracket import Bracket
from bnbench.search.decisions import decide, forget_ended
from bnbench.search.design import Design, designed
from bnbench.search.earlier_calls import check_same, has_begun
from bnbench.search.effort import Effort
from bnbench.search.journal import Journal
from bnbench.search.methods import METHODS
from bnbench.search.settings import SearchSettings
from bnbench.search.stages import brackets_of, effort_of, part_of_rung
from bnbench.search.trial import Trial, value_of
from bnbench.session.naming import free_name
from bnbench.spec import run_id


@dataclass
class Course:
    """A search in the folder of its sweep.

    Attributes:
        design: what is searched.
        name: of the sweep.
        paths: absolute ones.
        prestart: see :class:`session.Prestart`.
        trials: by arm, those that have ended, in order; also those of earlier calls.
        brackets: of the trials that are planned, those that have not ended; the first one is trained now.
    """

    design: Design
    name: str
    paths: session.Paths
    prestart: session.Prestart | None = None
    trials: dict[str, list[Trial]] = field(default_factory=dict)
    brackets: list[Bracket] = field(default_factory=list)
    _batch: tuple[Trial, ...] = ()
    _runs: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    _plan: session.Plan | None = None

    @property
    def folder(self) -> Path:
        """Of the sweep."""
        return self.paths.results / self.name

    @property
    def has_begun(self) -> bool:
        """True for a search that an earlier call has trained some of."""
        return has_begun(self.folder, self.design)

    @property
    def best(self) -> dict[str, Trial]:
        """The best trial of each arm that has one which was trained to the end, the first of equals."""
        valued = {
            arm: [(one.value, -one.number, one) for one in trials if one.value is not None and one.stopped is None]
            for arm, trials in self.trials.items()
        }
        return {arm: max(its, key=lambda one: one[:2])[2] for arm, its in valued.items() if its}

    @property
    def bracket(self) -> Bracket | None:
        """The trials that are trained now; None between two batches."""
        return self.brackets[0] if self.brackets else None

    def point(self, arm: str, number: int) -> Point:
        """The point of a trial that is planned."""
        return next(trial.point for trial in self._batch if (trial.arm, trial.number) == (arm, number))

    @property
    def open(self) -> int:
        """The trials that have no value although they were trained."""
        return sum(trial.is_open for trials in self.trials.values() for trial in trials)

    @property
    def unchosen(self) -> int:
        """The trials whose points are chosen only once those that are planned are trained."""
        if self.design.settings.method == "grid":
            return 0
        chosen = {(trial.arm, trial.number) for trial in self._batch}
        return sum((arm, n) not in chosen for arm in self.design.arms for n in range(self.design.settings.trials))

    @property
    def effort(self) -> Effort | None:
        """The epochs of all trials, once a first batch is planned; None without halving."""
        return effort_of(self.design.settings, self._runs, self.unchosen, self._epochs)

    def begin(self) -> session.Plan:
        """The plan of the first batch, with all trials of earlier calls: what has no result yet is trained again.

        Raises:
            BnbenchError: something is wrong with the request or the folder; nothing is written.
        """
        check_same(self.folder, self.design)
        if self._journal is not None:
            self.trials = {arm: self._journal.read(arm) for arm in self.design.arms}
        earlier = [trial for trials in self.trials.values() for trial in trials]
        whole = self._planned([*earlier, *self._next()], self.prestart, is_first=True)
        plan = self._rung(whole)
        while len(self.brackets) > 1 and not plan.pending and not self._news(self.brackets[0]):
            self.brackets.pop(0)
            plan = self._rung(whole)
        return plan

    def go_on(self) -> session.Plan | None:
        """The plan of what comes next, the rung that follows or the next batch; None at the end."""
        if self.brackets and self._plan is not None:
            return self._rung(self._plan)
        batch = self._next()
        return self._rung(self._planned(batch)) if batch else None

    def learn(self, plan: session.Plan) -> None:
        """Take over what came of the trials of a plan that was trained, and keep it in the folder."""
        bracket = self.brackets[0]
        if not bracket.is_last:
            decide(self.folder, bracket, self._runs, plan.impossible)
            if not bracket.is_over:
                return
        self.brackets.pop(0)
        if self.design.settings.halving is not None:
            forget_ended(self.folder, self._runs)
        rows = store.checked_rows(self.folder)
        for arm, numbers in bracket.numbers.items():
            known = len(self.trials.get(arm, ()))
            there = [trial for trial in self._batch if trial.arm == arm and trial.number in numbers]
            ended = [self._ended(trial, bracket, plan, rows) for trial in there]  # all: a plugin may have changed since
            changed = [new for old, new in zip(there, ended, strict=True) if new != old or new.number >= known]
            if self._journal is not None and changed:
                self._journal.record(arm, known, changed)
            merged = {trial.number: trial for trial in [*self.trials.get(arm, ()), *ended]}
            self.trials[arm] = [merged[number] for number in sorted(merged)]

    @property
    def _journal(self) -> Journal | None:
        """Where what a method goes by is kept; None for one that goes by nothing."""
        return Journal(self.folder, self.design.spaces) if self.design.settings.method == "tpe" else None

    def _next(self) -> list[Trial]:
        """The trials to train next, of all arms."""
        settings, batch = self.design.settings, []
        for arm in self.design.arms:
            there = self.trials.get(arm, [])
            points = METHODS[settings.method](self.design.spaces, settings.seed, there, settings.trials)
            batch += [Trial(arm, number, point) for number, point in enumerate(points, len(there))]
        return batch

    def _planned(
        self, batch: Sequence[Trial], prestart: session.Prestart | None = None, is_first: bool = False
    ) -> session.Plan:
        """The plan of a batch. Trials that cannot be trained are impossible; the first batch must have others."""
        requests = [self.design.request(trial) for trial in batch]
        whole = replace(self.design.together(batch, requests), may_be_empty=not is_first)
        if is_first and not whole.specs:
            raise InvalidRequest([f"no trial can be trained: {whole.notes[-1]}"])
        plan = session.plan_request(
            whole, self.design.parts, self.name, self.paths, retry_failed=True, prestart=prestart
        )
        self._batch, self._runs, numbers = tuple(batch), {}, dict[str, int]()
        for trial, request in zip(batch, requests, strict=True):
            identities = [plan.identities.get(run_id(spec), run_id(spec)) for spec in request.specs]
            self._runs[trial.arm, trial.number] = identities
            for identity in identities:
                numbers.setdefault(identity, trial.number)
        self._plan = replace(plan, trials=numbers)
        self.brackets = [*brackets_of(self.folder, self.design.settings, self._runs, self._epochs)]
        return self._plan

    @property
    def _epochs(self) -> int:
        """Of each run, where trials are halved."""
        specs = () if self._plan is None else self._plan.specs.values()
        return next((spec.epochs for spec in specs if spec.epochs is not None), 1)

    def _rung(self, whole: session.Plan) -> session.Plan:
        """What is trained now of a plan: all of it, or the rung in which the first bracket is."""
        return whole if self.design.settings.halving is None else part_of_rung(whole, self.brackets[0], self._runs)

    def _news(self, bracket: Bracket) -> bool:
        """True if not all is known yet of what came of a bracket that was trained before."""
        known = {(trial.arm, trial.number) for its in self.trials.values() for trial in its if not trial.is_open}
        return any((arm, number) not in known for arm, numbers in bracket.numbers.items() for number in numbers)

    def _ended(
        self, trial: Trial, bracket: Bracket, plan: session.Plan, rows: Mapping[str, Mapping[str, str]]
    ) -> Trial:
        """A trial with its value, if all of its runs have a result, or have stopped at a rung."""
        trial, identities = Trial(trial.arm, trial.number, trial.point), self._runs[trial.arm, trial.number]
        if not identities or any(identity in plan.impossible for identity in identities):
            return replace(trial, is_impossible=True)
        last = bracket.verdicts.get((trial.arm, trial.number))
        if last is not None and not last.goes_on:
            return replace(trial, value=last.value, stopped=last.epochs)
        return replace(trial, value=value_of(rows[identity] for identity in identities))


def prepared(
    grid: session.Grid,
    settings: SearchSettings,
    name: str | None,
    paths: session.Paths,
    prestart: session.Prestart | None = None,
) -> Course:
    """A search that is checked as far as it can be without its networks.

    Args:
        name: of the sweep; None takes one that is free.

    Raises:
        BnbenchError: something is wrong with the request; the message says all of it.
    """
    paths = paths.absolute()
    design = designed(grid, settings, known_components(paths.plugin))
    if name is None:
        points = {space.key: space.ends[0] for space in design.spaces}
        name = free_name(design.composed(points).specs, paths.results, date.today())
    return Course(design, name, paths, prestart)
