"""The course of a search: a batch of trials is chosen, planned and trained, until there are as many as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from bnbench import session, store
from bnbench.errors import InvalidRequest
from bnbench.plugins import known_components
from bnbench.search.design import Design, designed
from bnbench.search.journal import Journal
from bnbench.search.methods import METHODS
from bnbench.search.settings import SearchSettings
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
        trials: by arm, those that have been trained, in order; also those of earlier calls.
    """

    design: Design
    name: str
    paths: session.Paths
    prestart: session.Prestart | None = None
    trials: dict[str, list[Trial]] = field(default_factory=dict)
    _batch: tuple[Trial, ...] = ()
    _runs: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Of the sweep."""
        return self.paths.results / self.name

    @property
    def has_begun(self) -> bool:
        """True for a search that an earlier call has trained some of."""
        return any(_is_same(entry, self._entry) for entry in store.read_history(self.folder))

    @property
    def best(self) -> dict[str, Trial]:
        """The best trial of each arm that has one, the first of equals."""
        valued = {arm: [(trial.value, -trial.number, trial) for trial in trials if trial.value is not None]
                  for arm, trials in self.trials.items()}  # fmt: skip
        return {arm: max(its, key=lambda one: one[:2])[2] for arm, its in valued.items() if its}

    @property
    def open(self) -> int:
        """The trials that have no value although they were trained."""
        return sum(trial.is_open for trials in self.trials.values() for trial in trials)

    def begin(self) -> session.Plan:
        """The plan of the first batch, with all trials of earlier calls: what has no result yet is trained again.

        Raises:
            BnbenchError: something is wrong with the request or the folder; nothing is written.
        """
        self._check_folder()
        if self._journal is not None:
            self.trials = {arm: self._journal.read(arm) for arm in self.design.arms}
        earlier = [trial for trials in self.trials.values() for trial in trials]
        return self._planned([*earlier, *self._next()], self.prestart)

    def go_on(self) -> session.Plan | None:
        """The plan of the next batch; None at the end."""
        batch = self._next()
        return self._planned(batch) if batch else None

    def learn(self, plan: session.Plan) -> None:
        """Take over what came of the trials of a plan that was trained, and keep it in the folder."""
        rows = store.checked_rows(self.folder)
        for arm in self.design.arms:
            known = len(self.trials.get(arm, ()))
            there = [trial for trial in self._batch if trial.arm == arm]
            ended = [self._ended(trial, plan, rows) if trial.is_open else trial for trial in there]
            changed = [new for old, new in zip(there, ended, strict=True) if new != old or new.number >= known]
            if self._journal is not None and changed:
                self._journal.record(arm, known, changed)
            merged = {trial.number: trial for trial in [*self.trials.get(arm, ()), *ended]}
            self.trials[arm] = [merged[number] for number in sorted(merged)]

    @property
    def _journal(self) -> Journal | None:
        """Where what a method goes by is kept; None for one that goes by nothing."""
        return Journal(self.folder, self.design.spaces) if self.design.settings.method == "tpe" else None

    @property
    def _entry(self) -> dict[str, list[str]]:
        """The request as sweep.yaml has it."""
        grid = self.design.grid
        texts = {"overrides": grid.overrides, "zip": grid.zips, "exclude": grid.excludes}
        return {**{key: [*its] for key, its in texts.items()}, "search": self.design.settings.facts()}

    def _check_folder(self) -> None:
        """Refuse a sweep that was searched in another way: two trials would have one number."""
        for entry in store.read_history(self.folder):
            if "search" in entry and not _is_same(entry, self._entry):
                there = " ".join(map(str, [*entry.get("overrides", ()), *(entry["search"] or ())]))
                raise InvalidRequest([f"sweep {self.name} holds another search ({there:.200}); choose another --name"])

    def _next(self) -> list[Trial]:
        """The trials to train next, of all arms."""
        settings, batch = self.design.settings, []
        for arm in self.design.arms:
            there = self.trials.get(arm, [])
            points = METHODS[settings.method](self.design.spaces, settings.seed, there, settings.trials)
            batch += [Trial(arm, number, point) for number, point in enumerate(points, len(there))]
        return batch

    def _planned(self, batch: Sequence[Trial], prestart: session.Prestart | None = None) -> session.Plan:
        requests = [self.design.request(trial) for trial in batch]
        whole = self.design.together(batch, requests)
        plan = session.plan_request(
            whole, self.design.parts, self.name, self.paths, retry_failed=True, prestart=prestart
        )
        self._batch, self._runs, numbers = tuple(batch), {}, dict[str, int]()
        for trial, request in zip(batch, requests, strict=True):
            identities = [plan.identities.get(run_id(spec), run_id(spec)) for spec in request.specs]
            self._runs[trial.arm, trial.number] = identities
            for identity in identities:
                numbers.setdefault(identity, trial.number)
        return replace(plan, trials=numbers)

    def _ended(self, trial: Trial, plan: session.Plan, rows: Mapping[str, Mapping[str, str]]) -> Trial:
        """A trial with its value, if all of its runs have a result."""
        identities = self._runs[trial.arm, trial.number]
        if not identities or any(identity in plan.impossible for identity in identities):
            return replace(trial, is_impossible=True)
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


def _is_same(entry: Mapping[str, object], request: Mapping[str, Sequence[str]]) -> bool:
    """True for an entry of sweep.yaml with the same search, whatever the order of its settings and the device."""

    def texts(value: object) -> list[str]:
        every = map(str, value) if isinstance(value, list) else ()
        return sorted(text for text in every if not text.startswith("device="))

    return "search" in entry and all(texts(entry.get(key)) == sorted(texts([*its])) for key, its in request.items())
