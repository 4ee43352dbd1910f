"""By which engine runs are trained, and how many at a time: found by proofs and, where need be, by timing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch

from bnbench.components import Components
from bnbench.data import Data
from bnbench.global_state import preserved_global_state
from bnbench.native import only_loaded
from bnbench.notices import step
from bnbench.plan.case import Case
from bnbench.plan.execution import ALONE, NOT_READY, Division, Execution
from bnbench.plan.grouping import stacks_of
from bnbench.plan.lanes import quick_lanes
from bnbench.plan.proofs import unfoldable, why_not_native
from bnbench.plan.readiness import is_worth_waiting
from bnbench.plan.resources import Resources
from bnbench.plan.size import likely_seconds, most_splits
from bnbench.spec import RunSpec, arm, by_stack_key, kind_key

WORTH_PROVING = 5.0
"""Seconds that torch takes for a run alone from which it pays to prove that compiled code may train it."""


@preserved_global_state()
def division(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    resources: Resources,
) -> Division:
    """Find how runs are trained; a network is stacked, and compiled, only if it is proved to be right.

    Args:
        specs: by run_id.
    """
    with nullcontext() if resources.compiles else only_loaded():
        return _division(specs, components, data, resources)


def _division(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    resources: Resources,
) -> Division:
    """See :func:`division`; torch's lanes are not measured where compiled code, not ready yet, will be waited for."""
    kinds: dict[tuple[object, ...], _Kind] = {}
    kind_of: dict[str, _Kind] = {}
    guesses, sizes = dict[str, Execution](), dict[str, float]()
    groups = by_stack_key(specs)
    alike_runs = Counter(kind_key(spec) for spec in specs.values())
    for number, (key, members) in enumerate(groups.items(), 1):
        spec, most = specs[members[0]], resources.known.get(key)
        alike = (kind_key(spec), len(members) > 1, most)
        if alike not in kinds:
            step(f"proving {arm(spec)} batch_size={spec.batch_size} ({number} of {len(groups)} kinds)")
            case = Case(spec, components, data(spec), torch.device(resources.device.name))
            kinds[alike] = _Kind(case, resources, len(members), alike_runs[kind_key(spec)], most)
        kind_of[key] = kinds[alike]
        guesses[key], sizes[key] = kinds[alike].guess, kinds[alike].seconds
    guess = Division(guesses, sizes)
    if not any(one.is_unready for one in guesses.values()) or is_worth_waiting(
        stacks_of(specs, guess, resources), specs, guess
    ):
        return guess
    return Division({key: kind_of[key].found for key in groups}, sizes)


@dataclass(frozen=True, eq=False)
class _Kind:
    """Runs of one stack key, which stand for all that are of their kind.

    Attributes:
        runs: with this stack key.
        alike: runs of this kind, whatever their stack key.
        known: how many are trained together at most, as it was found before.
    """

    case: Case
    resources: Resources
    runs: int
    alike: int
    known: int | None

    @cached_property
    def seconds(self) -> float:
        """See :func:`likely_seconds`."""
        return likely_seconds(self.case)

    @cached_property
    def guess(self) -> Execution:
        """The way in which they are trained; with as many lanes as sizes tell where compiled code is not ready."""
        return self._execution(measures=False)

    @cached_property
    def found(self) -> Execution:
        """The way in which they are trained."""
        return self._execution(measures=True) if self.guess.is_unready else self.guess

    @cached_property
    def _slow(self) -> str | None:
        """See :func:`why_not_native`."""
        return why_not_native(self.case, self.alike)

    @cached_property
    def _unfoldable(self) -> str | None:
        """See :func:`unfoldable`."""
        return unfoldable(self.case)

    def _execution(self, measures: bool) -> Execution:
        """The way in which they are trained.

        Args:
            measures: whether torch's lanes are measured even where compiled code is not ready.
        """
        if self.case.spec.devices > 1:
            return Execution(reasons=(f"a run on {self.case.spec.devices} devices is in no stack",))
        lanes = self.known or self.resources.lanes
        has_companions = self.runs > 1 or self.known is not None
        if lanes == 1 or not (has_companions or (lanes is None and self.seconds >= WORTH_PROVING)):
            return ALONE
        slow = self._slow
        native = slow is None and self._unfoldable is None
        if not (has_companions or native):
            return Execution(reasons=(slow,)) if slow == NOT_READY else ALONE
        lanes = lanes or self._lanes(native, measures or slow != NOT_READY)
        looked_at = lanes > 1 or self.case.spec.plugin is not None
        if looked_at and self._unfoldable is not None:
            return Execution(reasons=(self._unfoldable,))
        if lanes == 1:
            return Execution(reasons=(slow,)) if slow == NOT_READY else ALONE
        if native:
            return Execution("native", lanes, splits=most_splits(self.case))
        why = slow if slow == NOT_READY else f"not compiled: {slow}"
        reasons = (why,) if self.case.device.type == "cpu" else ()
        return Execution("stacked", lanes, reasons, most_splits(self.case))

    def _lanes(self, native: bool, measures: bool) -> int:
        workers = self.resources.workers
        return quick_lanes(self.case, -(-self.runs // workers), workers, native, measures)
