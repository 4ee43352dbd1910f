"""Findings about specs that are needed before any of them is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bnbench.errors import BnbenchError
from bnbench.spec import RunSpec, arm, common_split

if TYPE_CHECKING:
    from bnbench.components import Components, DataFolder
    from bnbench.data import Data
    from bnbench.plan.feasibility import Refusal


MOST_PARAMETERS = 10**9
TOO_LARGE = f"the network has more than {MOST_PARAMETERS:,} parameters; choose a smaller model.width or model"
"""Also said where memory is lacking."""


@dataclass
class Examination:
    """Findings about specs.

    Attributes:
        impossible: by run_id, why a spec cannot be trained.
        failing: by run_id of others, what a step of a user's code raised that was tried.
        steps: by run_id of all others, the steps of their training.
        notes: on their data.
        problems: for which nothing more could be found.
    """

    impossible: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Examination) -> None:
        """Take in what was found of other specs."""
        self.impossible |= other.impossible
        self.failing |= other.failing
        self.steps |= other.steps
        self.notes |= other.notes
        self.problems += other.problems


def examine(specs: Mapping[str, RunSpec], components: Components, load: DataFolder) -> Examination:
    """Find what is impossible, what fails, how long the rest is, and notes on the data; a :data:`Question`."""
    by_data: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        by_data.setdefault((spec.dataset, common_split(spec)), {})[identity] = spec
    from bnbench.plan.feasibility import remembered_refusals

    found, refusal, raised = Examination(), remembered_refusals(components), dict[object, str | None]()
    for group in by_data.values():
        found.add(_examined(group, components, load, refusal, raised))
    return found


def examine_options(specs: Mapping[str, RunSpec], components: Components, load: DataFolder) -> Examination:
    """Find what is wrong without any data; a :data:`Question`."""
    from bnbench.plan.feasibility import wrong_options

    return Examination(problems=wrong_options(specs, components))


def _examined(
    specs: Mapping[str, RunSpec],
    components: Components,
    load: DataFolder,
    refusal: Refusal,
    raised: dict[object, str | None],
) -> Examination:
    """Findings about specs whose data differ in the seed of the split at most; without these, those that need none."""
    from bnbench.plan.feasibility import obstacles, wrong_options
    from bnbench.plan.first_step import failures
    from bnbench.plan.step_counts import steps

    found = Examination()

    def noted(spec: RunSpec) -> Data:
        loaded = load(spec)
        found.notes |= dict.fromkeys(f"dataset={spec.dataset.name}: {note}" for note in loaded.notes)
        return loaded

    try:
        load.require_splits(specs.values())
        found.impossible = obstacles(specs, components, noted, refusal)
        possible = {identity: spec for identity, spec in specs.items() if identity not in found.impossible}
        found.failing = failures(possible, components, noted, raised)
        found.steps = steps(possible, noted)
    except BnbenchError as error:
        found.problems += [str(error), *wrong_options(specs, components)]
    return found


def lasts(found: Mapping[str, Any]) -> bool:
    """True if an :class:`Examination`, as a tree, holds another time too: not where memory may have been lacking."""
    return not found["problems"] and TOO_LARGE not in found["impossible"].values()


def summarized(specs: Mapping[str, RunSpec], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each arm and reason, with all batch sizes to which it applies."""
    batches: dict[tuple[str, str], dict[int, None]] = {}
    for identity, reason in reasons.items():
        spec = specs[identity]
        batches.setdefault((arm(spec), reason), {})[spec.batch_size] = None
    return [f"{cell} batch_size={','.join(map(str, sizes))}: {reason}" for (cell, reason), sizes in batches.items()]


def likely_failures(specs: Mapping[str, RunSpec], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each arm with something that a step raised, for those of ``specs`` that have a reason."""
    found = {identity: reasons[identity] for identity in specs if identity in reasons}
    told = {name: f"its runs are likely to fail: a step, tried now, raised {reason}" for name, reason in found.items()}
    return summarized(specs, told)
