"""When a run trains, pauses and ends, in steps."""

from __future__ import annotations

from dataclasses import dataclass

from bnbench.data import Order
from bnbench.spec import RunSpec


@dataclass(frozen=True)
class Timeline:
    """The steps of a run.

    Attributes:
        per_epoch: of an epoch.
        total: of the whole run.
        interval: from one evaluation to the next.
        probe_interval: from one measurement of the probes to the next.
        frozen_from: the step, from 0, before which statistics are frozen; ``total`` if they never are.
    """

    per_epoch: int
    total: int
    interval: int
    probe_interval: int
    frozen_from: int

    def pause_after(self, step: int) -> int:
        """The step of the next evaluation."""
        return min(self.total, step + self.interval)

    def goal(self, epochs: int | None) -> int:
        """The step at which training stops, at the end of so many epochs, if they are given: there is an evaluation."""
        if epochs is None or epochs * self.per_epoch >= self.total:
            return self.total
        assert epochs * self.per_epoch % self.interval == 0, "whoever stops a run has checked that"
        return epochs * self.per_epoch

    def is_probed(self, step: int) -> bool:
        """True if probes measure before a step; they do at the end of the run as well."""
        return step % self.probe_interval == 0


def timeline_of(spec: RunSpec, order: Order) -> Timeline:
    """The timeline of a run whose epochs have an order's steps."""
    per_epoch = order.steps
    total = spec.steps
    if total is None:
        assert spec.epochs is not None, "check() wants epochs or steps"
        total = spec.epochs * per_epoch
    interval = spec.evaluate.every * (per_epoch if spec.evaluate.unit == "epochs" else 1)
    frozen_from = total if spec.freeze_statistics is None else spec.freeze_statistics * per_epoch
    return Timeline(per_epoch, total, interval, interval * spec.probe_every, frozen_from)
