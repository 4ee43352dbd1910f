"""From overrides to a checked plan. Writes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from bnbench import store
from bnbench.config import Request, compose_request, read_spec
from bnbench.errors import InvalidRequest
from bnbench.plugins import known_components
from bnbench.schema import Known
from bnbench.session.checking import checked_plan
from bnbench.session.inputs import Grid, Paths, Prestart
from bnbench.session.naming import free_name
from bnbench.session.plan import Plan
from bnbench.session.provenance import PATH, repeated
from bnbench.spec import run_id

DEFAULT_NAME = "runs"


def plan_sweep(
    grid: Grid, name: str | None, paths: Paths, *, retry_failed: bool = False, prestart: Prestart | None = None
) -> Plan:
    """Compose and check a sweep.

    Args:
        name: of the sweep; None takes one that is free.
        retry_failed: train the runs that failed earlier as well.
        prestart: see :class:`Prestart`.

    Raises:
        BnbenchError: something is wrong with the request; the message says all of it.
    """
    paths = paths.absolute()
    parts = known_components(paths.plugin)
    request = compose_request(grid.overrides, parts, grid.zips, grid.excludes)
    if name is None:
        name = free_name(request.specs, paths.results, date.today())
    return plan_request(request, parts, name, paths, retry_failed=retry_failed, prestart=prestart)


def plan_request(
    request: Request,
    parts: Known,
    name: str,
    paths: Paths,
    *,
    retry_failed: bool = False,
    prestart: Prestart | None = None,
) -> Plan:
    """Check a sweep that is composed already, with the components ``parts`` of the plugin.

    Raises:
        BnbenchError: as :func:`plan_sweep`.
    """
    skip = store.RESULTS if retry_failed else store.RESULTS | store.HELD_BACK
    return checked_plan(request, parts, name, paths.absolute(), skip, prestart)


def plan_run(overrides: Sequence[str], name: str, paths: Paths, source: Path | None = None) -> Plan:
    """Compose and check one run, from overrides or from the spec file ``source``.

    The run is trained also if the folder has its result: asking for a run means running it.

    Raises:
        BnbenchError: as :func:`plan_sweep`, and for overrides that make more than one run.
    """
    paths = paths.absolute()
    parts = known_components(paths.plugin)
    request = compose_request(overrides, parts) if source is None else _repetition(source, overrides, parts, paths.data)
    if len(request.specs) > 1 and not request.problems:
        factors = ", ".join(request.factors)
        remedy = "use bnbench sweep"
        raise InvalidRequest([f"these overrides make {len(request.specs)} runs ({factors}); {remedy}"])
    return checked_plan(request, parts, name, paths, frozenset())


def _repetition(source: Path, overrides: Sequence[str], parts: Known, data: Path) -> Request:
    """The request for the run of a spec file, on another device or with its data elsewhere if the overrides say so."""
    moves = [override for override in overrides if override.startswith(f"{PATH}=")]
    request = compose_request([override for override in overrides if override not in moves], parts)
    if not all(override in moves or override.startswith("device=") for override in overrides):
        beside = f"device=... and, for data that were moved, {PATH}=..."
        raise InvalidRequest([f"--from repeats a run as it was; only {beside} can be set beside it"])
    spec = repeated(source, read_spec(source, parts), moves, parts, data)
    notes = _edited(source, run_id(spec))
    return replace(request, specs=(spec,), factors={}, typed={}, excluded=0, notes=notes)


def _edited(source: Path, identity: str) -> tuple[str, ...]:
    """A note if a spec file is named for another run than it holds: it was edited, or an earlier version wrote it."""
    if source.stem == identity or not re.fullmatch(r"[r0-9a-f][0-9a-f]{11}", source.stem):
        return ()
    return (f"the file is named for run {source.stem}; what it holds now is run {identity}",)
