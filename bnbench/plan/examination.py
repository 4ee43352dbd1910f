"""What must be known of specs before any of them is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bnbench.coincidences import Columns
from bnbench.components import Components
from bnbench.data import Data
from bnbench.errors import BnbenchError
from bnbench.plan.equal_arms import columns
from bnbench.plan.feasibility import obstacles, wrong_options
from bnbench.plan.first_step import failures
from bnbench.plan.inquiry import Load
from bnbench.spec import RunSpec


@dataclass
class Examination:
    """What was found.

    Attributes:
        impossible: by run_id, why a spec cannot be trained.
        failing: by run_id of others, what a step of a user's code raised that was tried.
        columns: by run_id of all others, what tells with which norms theirs coincide.
        notes: on their data.
        problems: for which nothing more could be found.
    """

    impossible: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Columns] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Examination) -> None:
        """Take in what was found of other specs."""
        self.impossible |= other.impossible
        self.failing |= other.failing
        self.columns |= other.columns
        self.notes |= other.notes
        self.problems += other.problems


def examine(specs: Mapping[str, RunSpec], components: Components, load: Load) -> Examination:
    """Find what is impossible, what fails, what coincides, and what is to be said of the data; a :data:`Question`."""
    by_data: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        by_data.setdefault((spec.dataset, spec.split), {})[identity] = spec
    found = Examination()
    for group in by_data.values():
        found.add(_examined(group, components, load))
    return found


def examine_options(specs: Mapping[str, RunSpec], components: Components, load: Load) -> Examination:
    """Find what is wrong without any data; a :data:`Question`."""
    return Examination(problems=wrong_options(specs, components))


def _examined(specs: Mapping[str, RunSpec], components: Components, load: Load) -> Examination:
    """What is found of specs with the same data; without these, what is wrong anyhow."""
    found = Examination()

    def noted(spec: RunSpec) -> Data:
        loaded = load(spec)
        found.notes |= dict.fromkeys(f"dataset={spec.dataset.name}: {note}" for note in loaded.notes)
        return loaded

    try:
        found.impossible = obstacles(specs, components, noted)
        possible = {identity: spec for identity, spec in specs.items() if identity not in found.impossible}
        found.failing = failures(possible, components, noted)
        found.columns = columns(possible, noted)
    except BnbenchError as error:
        found.problems += [str(error), *wrong_options(specs, components)]
    return found
