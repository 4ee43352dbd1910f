"""Runs of a plan whose results other sweeps have: found without reading those as a whole, and taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bnbench import store
from bnbench.session.plan import Plan


def results_elsewhere(plan: Plan, index: store.ResultIndex) -> dict[str, store.Found]:
    """The results that other sweeps have of runs without one here, by run_id; those that are impossible have none."""
    finished = {*plan.finished, *plan.impossible}
    return index.find([identity for identity in plan.specs if identity not in finished], plan.folder)


def with_results(plan: Plan, found: Mapping[str, store.Found]) -> Plan:
    """A plan as it will be once results are taken over."""
    pending = {identity: spec for identity, spec in plan.pending.items() if identity not in found}
    known = {**plan.known, **{identity: result.status for identity, result in found.items()}}
    return replace(plan, known=known, pending=pending)


def take_over(plan: Plan, index: store.ResultIndex) -> Plan:
    """Copy the results that other sweeps have into the plan's folder; the plan without the runs that came so.

    Raises:
        BnbenchError: the folder is in use or damaged.
    """
    found = results_elsewhere(plan, index)
    if not found:
        return plan
    sources = {identity: result.folder for identity, result in found.items()}
    counts = store.take_over(plan.folder, {identity: plan.specs[identity] for identity in found}, sources)
    known = store.statuses(plan.folder)
    pending = {identity: spec for identity, spec in plan.pending.items() if known.get(identity) not in store.RESULTS}
    return replace(plan, known=known, pending=pending, taken_over=dict(counts))
