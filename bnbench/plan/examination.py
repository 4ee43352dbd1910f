"""What must be known of specs before any of them is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bnbench.errors import BnbenchError
from bnbench.plan.inquiry import Load
from bnbench.spec import RunSpec, arm

if TYPE_CHECKING:
    from bnbench.components import Components
    from bnbench.data import Data


MOST_PARAMETERS = 10**9
TOO_LARGE = f"the network has more than {MOST_PARAMETERS:,} parameters; choose a smaller model.width or model"
"""Also said where memory is lacking."""


@dataclass
class Examination:
    """What was found.

    Attributes:
        impossible: by run_id, why a spec cannot be trained.
        steps: by run_id of the others, the steps of their training.
        notes: on their data.
        problems: for which nothing more could be found.
    """

    impossible: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Examination) -> None:
        """Take in what was found of other specs."""
        self.impossible |= other.impossible
        self.steps |= other.steps
        self.notes |= other.notes
        self.problems += other.problems


def examine(specs: Mapping[str, RunSpec], components: Components, load: Load) -> Examination:
    """Find what is impossible, how long the rest is, and what is to be said of the data; a :data:`Question`."""
    from bnbench.plan.equal_arms import steps
    from bnbench.plan.feasibility import obstacles

    found = Examination()

    def noted(spec: RunSpec) -> Data:
        loaded = load(spec)
        found.notes |= dict.fromkeys(f"dataset={spec.dataset.name}: {note}" for note in loaded.notes)
        return loaded

    try:
        found.impossible = obstacles(specs, components, noted)
        possible = {identity: spec for identity, spec in specs.items() if identity not in found.impossible}
        found.steps = steps(possible, noted)
    except BnbenchError as error:
        found.problems.append(str(error))
    return found


def lasts(found: Mapping[str, Any]) -> bool:
    """Whether an :class:`Examination`, as a tree, holds another time too: not where memory may have been lacking."""
    return not found["problems"] and TOO_LARGE not in found["impossible"].values()


def summarized(specs: Mapping[str, RunSpec], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each arm and reason, with all batch sizes to which it applies."""
    batches: dict[tuple[str, str], dict[int, None]] = {}
    for identity, reason in reasons.items():
        spec = specs[identity]
        batches.setdefault((arm(spec), reason), {})[spec.batch_size] = None
    return [f"{cell} batch_size={','.join(map(str, sizes))}: {reason}" for (cell, reason), sizes in batches.items()]
