"""The commands as functions, for notebooks and scripts.

A ``plugin`` is a file, as on the command line, and is executed in processes of its own, never in the caller's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bnbench import reports, session, store, study
from bnbench.errors import InvalidRequest
from bnbench.launch import begin
from bnbench.notices import heard
from bnbench.paths import expanded

RESULTS, DATA = Path("results"), Path("data")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


@heard(_warn)
def run(
    *overrides: str,
    name: str = session.DEFAULT_NAME,
    results: Path | str = RESULTS,
    data: Path | str = DATA,
    plugin: Path | str | None = None,
) -> dict[str, Any]:
    """Train one run and return its row of runs.csv.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    store.check_place(expanded(results, "results"), name)
    if plugin:
        begin("bnbench.worker", "bnbench.plugins")
    plan = session.plan_run(
        overrides, name, results=Path(results), data=Path(data), plugin=Path(plugin) if plugin else None
    )
    summary = session.execute_run(plan, lambda record: None)
    (identity,) = summary.statuses
    row = store.load_runs(plan.folder).set_index("run_id").loc[identity]
    return {str(column): value for column, value in row.items()}


@heard(_warn)
def sweep(
    *overrides: str,
    name: str | None = None,
    extend: bool = False,
    zips: Sequence[str] = (),
    excludes: Sequence[str] = (),
    jobs: int | None = None,
    results: Path | str = RESULTS,
    data: Path | str = DATA,
    plugin: Path | str | None = None,
    retry_failed: bool = False,
) -> session.Summary:
    """Train every combination of the given values that has no result yet.

    Args:
        overrides: as on the command line, for example ``"norm=none,batch"``, ``"seed=range(3)"``.
        name: of the sweep; without one it is made of model, dataset and date. The summary has its folder.
        extend: add to a sweep of this name what its grid does not have yet.
        jobs: worker processes; 1 trains in this process, unless on a GPU.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    store.check_place(expanded(results, "results"), name)
    if plugin:
        begin("bnbench.worker", "bnbench.plugins")
    plan = session.plan_sweep(
        overrides,
        name,
        results=Path(results),
        data=Path(data),
        zips=zips,
        excludes=excludes,
        plugin=Path(plugin) if plugin else None,
        retry_failed=retry_failed,
        start=None if jobs == 1 else partial(begin, "bnbench.worker"),
    )
    if not extend and (there := session.extension(plan)):
        raise InvalidRequest([f"{there}; add these with extend=True, or choose another name"])
    here = jobs == 1 and plan.device.type == "cpu"
    return session.execute(plan, launcher="inline" if here else "local", jobs=jobs)


def load(*names: str, results: Path | str = RESULTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and the metrics of one or more sweeps as tidy tables.

    Raises:
        BnbenchError: one of them is not there.
    """
    return store.load_sweeps([expanded(results, "results") / name for name in names])


def load_probes(*names: str, results: Path | str = RESULTS) -> pd.DataFrame:
    """What probes measured in one or more sweeps, as a tidy table: run_id, step, probe, layer, name, value.

    Raises:
        BnbenchError: one of them is not there.
    """
    return store.load_sweep_probes([expanded(results, "results") / name for name in names])


def report(
    *names: str,
    views: Sequence[str] = tuple(reports.VIEWS),
    baseline: str | None = None,
    targets: Sequence[str | float] = (),
    lr: str = "best",
    versions: bool = False,
    format: str = "terminal",
    results: Path | str = RESULTS,
) -> str:
    """Comparison tables over sweeps, as text.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    runs, metrics = load(*names, results=results)
    return reports.render(reports.report(runs, metrics, views, baseline, targets, lr, versions), format)


@heard(_warn)
def verdicts(
    *words: str,
    scale: str = "cpu",
    jobs: int | None = None,
    results: Path | str = RESULTS,
    data: Path | str = DATA,
    plugin: Path | str | None = None,
) -> pd.DataFrame:
    """Carry out studies, decide their claims together, and return the scorecard: a line per claim.

    Args:
        words: studies, or YAML files that hold one; and settings such as ``"dataset=mnist"``, which take the place of
            their own: with them, a study is another one.
        scale: ``smoke``, ``cpu`` or ``gpu``.
        jobs: worker processes; 1 trains in this process, unless on a GPU.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    if plugin:
        begin("bnbench.worker", "bnbench.plugins")
    elif jobs != 1:
        begin("bnbench.worker")
    place = study.Place(
        expanded(results, "results"), expanded(data, "data"), expanded(plugin, "plugin") if plugin else None
    )
    names, settings = study.told_apart(words)
    asked = study.varied(study.load(names), settings, place.components)
    chosen = study.check_scale(scale, asked)
    study.check_places(asked, chosen, place)

    def train(one: study.Study, what: str, plan: session.Plan) -> session.Summary:
        return study.execute(one, plan, jobs)

    found = [study.run_study(one, chosen, place, train) for one in asked]
    return study.as_table(study.scorecard(found))
