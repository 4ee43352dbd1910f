"""The commands as functions, for notebooks and scripts.

A ``plugin`` is a file, as on the command line, and is executed in processes of its own, never in the caller's but by
``load_network``, which gives back a network of it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd

from bnbench import comparison, launch, reports, search, session, store, study
from bnbench.errors import InvalidRequest
from bnbench.notices import heard
from bnbench.paths import expanded
from bnbench.progress import shown_in_notebook

if TYPE_CHECKING:
    from torch import nn

RESULTS, DATA = Path("results"), Path("data")


class PathOptions(TypedDict, total=False):
    """Keywords that say where things are: ``results``, ``data`` and ``plugin``."""

    results: Path | str
    data: Path | str
    plugin: Path | str | None


class SweepOptions(PathOptions, total=False):
    """Keywords that say where things are, how runs are trained, and what is searched.

    ``launcher`` is one of the command line, with settings such as ``"launcher.gpus=1"`` among the overrides. There is a
    checkpoint every ``checkpoint_every`` seconds of training, infinite for none, and no run trains for more than
    ``timeout`` seconds.

    ``search`` is ``"random"``, ``"tpe"`` or ``"grid"``, with ``trials``, ``search_seed``, ``per`` and ``halving`` as
    ``--trials``, ``--search-seed``, ``--per`` and ``--halving`` of the command line.
    """

    launcher: str
    checkpoint_every: float
    timeout: float
    search: str | None
    trials: int | None
    search_seed: int | None
    per: str | None
    halving: int | None


def _paths(results: Path | str = RESULTS, data: Path | str = DATA, plugin: Path | str | None = None) -> session.Paths:
    """The paths of a function.

    Raises:
        InvalidRequest: one begins with ``~`` for a home there is not.
    """
    code = expanded(plugin, "plugin") if plugin else None
    return session.Paths(expanded(results, "results"), expanded(data, "data"), code)


def _prestarted(paths: session.Paths, jobs: int | None = None) -> session.Prestart | None:
    """Let workers begin to import: those of a plugin now, others once there is something to train."""
    if paths.plugin is not None:
        launch.prestart("bnbench.worker", "bnbench.plugins")
    return None if jobs == 1 else session.Prestart(partial(launch.prestart, "bnbench.worker"))


def _begun(paths: session.Paths, jobs: int | None) -> None:
    """Let workers begin to import, as there will be something to train."""
    prestart = _prestarted(paths, jobs)
    if prestart is not None and paths.plugin is None:
        prestart.begin()


def _training_options(options: SweepOptions, jobs: int | None, place: Sequence[str]) -> session.TrainingOptions:
    """The way in which runs are trained. Raises :class:`InvalidRequest` as the command line does."""
    asked = session.TrainingOptions(options.get("launcher", "local"), jobs, settings=place)
    return asked.limited(options.get("checkpoint_every"), options.get("timeout")).checked()


def _search_settings(options: SweepOptions) -> search.SearchSettings | None:
    """The settings of a search, if one is asked for. Raises :class:`InvalidRequest` as the command line does."""
    trials, seed = options.get("trials"), options.get("search_seed")
    return search.read_settings(options.get("search"), trials, seed, options.get("per"), options.get("halving"))


def _check_extension(plan: session.Plan, is_agreed: bool) -> None:
    """Refuse runs that are added to a sweep with another grid, unless that is meant."""
    if not is_agreed and (there := session.extension(plan)):
        raise InvalidRequest([f"{there}; add these with extend=True, or choose another name"])


def _call(function: str, words: Sequence[str], given: Mapping[str, Any]) -> str:
    """A call of a function of this module, as it can be pasted; paths are texts."""
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    return f"bnbench.{function}({', '.join([*map(repr, words), *(f'{key}={one!r}' for key, one in texts.items())])})"


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


@heard(_warn)
def run(
    *overrides: str, name: str = session.DEFAULT_NAME, save_weights: bool = False, **paths: Unpack[PathOptions]
) -> dict[str, Any]:
    """Train one run and return its row of runs.csv.

    Args:
        overrides: as on the command line, for example ``"norm=batch"``, ``"lr=0.1"``.
        name: of the sweep that the run belongs to.
        save_weights: keep the weights of the trained network, for :func:`load_network`.
        paths: ``results``, ``data`` and ``plugin``.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    places = _paths(**paths)
    store.check_place(places.results, name)
    _prestarted(places)
    plan = session.plan_run(overrides, name, places)
    plan = session.saving_weights(plan) if save_weights else plan
    summary = session.execute_run(plan, lambda record: None)
    (identity,) = summary.statuses
    row = store.load_runs(plan.folder).set_index("run_id").loc[identity]
    return {"run_id": identity, **{str(column): value for column, value in row.items()}}


@heard(_warn)
def sweep(
    *overrides: str,
    name: str | None = None,
    extend: bool = False,
    zips: Sequence[str] = (),
    excludes: Sequence[str] = (),
    jobs: int | None = None,
    retry_failed: bool = False,
    save_weights: bool = False,
    **options: Unpack[SweepOptions],
) -> session.Summary:
    """Train every combination of the given values that has no result yet, or the trials of a search.

    A notebook shows how far it is.

    Args:
        overrides: as on the command line, for example ``"norm=none,batch"``, ``"seed=range(3)"``.
        name: of the sweep; without one it is made of model, dataset and date. The summary has its folder.
        extend: add to a sweep of this name what its grid does not have yet.
        jobs: worker processes; 1 trains in this process, unless on a GPU.
        retry_failed: train runs that failed earlier again.
        save_weights: keep the weights of the networks that are trained, for :func:`load_network`.
        options: all others, see :class:`SweepOptions`.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    places = _paths(options.get("results", RESULTS), options.get("data", DATA), options.get("plugin"))
    store.check_place(places.results, name)
    words, place = launch.divided(overrides)
    settings, asked = _search_settings(options), _training_options(options, jobs, place)
    grid, prestart = session.Grid(words, zips, excludes), _prestarted(places, jobs)
    with shown_in_notebook() as watch:
        course = None if settings is None else search.prepared(grid, settings, name, places, prestart)
        plan_grid = partial(session.plan_sweep, grid, name, places, retry_failed=retry_failed, prestart=prestart)
        plan = course.begin() if course else plan_grid()
        plan = session.saving_weights(plan) if save_weights else plan
        _check_extension(plan, extend or (course is not None and course.has_begun))
        train = partial(session.execute, options=asked if "launcher" in options else asked.here(plan), watch=watch)
        return search.carry_out(course, plan, train) if course else train(plan)


def load(*names: str, results: Path | str = RESULTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and the metrics of one or more sweeps as tidy tables.

    Raises:
        BnbenchError: none is named, or one of them is not there.
    """
    return store.load_sweeps([expanded(results, "results") / name for name in names])


def load_probes(*names: str, results: Path | str = RESULTS) -> pd.DataFrame:
    """The readings of probes in one or more sweeps as a tidy table: run_id, step, probe, layer, name, value.

    Raises:
        BnbenchError: none is named, or one of them is not there.
    """
    folders = [expanded(results, "results") / name for name in names]
    return store.load_sweep_probes(folders)


@heard(_warn)
def load_network(
    run_id: str, sweep: str | None = None, results: Path | str = RESULTS, plugin: Path | str | None = None
) -> nn.Module:
    """The trained network of a run whose weights were kept, on the CPU and in evaluation mode.

    It takes images ``[N, C, H, W]`` as they were trained on, normalized, and returns logits ``[N, classes]``. Weights
    that a norm computes are ordinary parameters of it, with the values that evaluation takes.

    Args:
        run_id: the beginning of one is enough.
        sweep: the one to look in; without one, all are looked through.
        plugin: the file of your own components, as it was in training; it is executed in this process.

    Raises:
        BnbenchError: there is no such run, or it has no weights, or they are damaged.
    """
    places = _paths(results, plugin=plugin)
    return session.load_network(run_id, sweep, places.results, places.plugin)


def report(
    *names: str,
    views: Sequence[str] = tuple(reports.VIEWS),
    baseline: str | None = None,
    targets: Sequence[str | float] = (),
    lr: str = "best",
    versions: bool = False,
    format: str = "terminal",
    results: Path | str = RESULTS,
) -> reports.Document:
    """Comparison tables over sweeps: they print as text, and ``to_frame()`` has their numbers as a tidy table.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    reports.check_format(format)
    folders = [expanded(results, "results") / name for name in names]
    return reports.Document(reports.report_sweeps(folders, views, baseline, targets, lr, versions), format)


@heard(_warn)
def verdicts(*words: str, scale: str = "cpu", jobs: int | None = None, **paths: Unpack[PathOptions]) -> pd.DataFrame:
    """Carry out studies, decide their claims together, and return the scorecard: a line per claim.

    Args:
        words: studies, or YAML files that hold one; and settings such as ``"dataset=mnist"``, which take the place of
            their own: with them, a study is another one.
        scale: ``smoke``, ``cpu`` or ``gpu``.
        jobs: worker processes; 1 trains in this process, unless on a GPU.
        paths: ``results``, ``data`` and ``plugin``.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    places = _paths(**paths)
    _begun(places, jobs)
    place = study.Place(places.results, places.data, places.plugin)
    names, settings = study.told_apart(words)
    studies = study.varied(study.load(names), settings, place.components)
    scale_name = study.check_scale(scale, studies)
    study.check_places(studies, scale_name, place)

    with shown_in_notebook() as watch:

        def train(one: study.Study, part: str, plan: session.Plan) -> session.Summary:
            return study.execute(one, plan, jobs, watch)

        return study.as_table(study.scorecard([study.run_study(one, scale_name, place, train) for one in studies]))


@heard(_warn)
def compare(
    *words: str,
    against: Sequence[str] = (),
    on: Sequence[str] = (),
    scale: str = "cpu",
    budget: float = math.inf,
    every_pair: bool = False,
    jobs: int | None = None,
    **paths: Unpack[PathOptions],
) -> reports.Document:
    """Ask every question of a norm, against others, and return the dossier of its verdicts.

    Args:
        words: norms, with options in one text (``"group groups=8"``); and settings of all runs (``"seeds=40"``).
        against: what each is compared with; by default batch, group, layer, rms and none.
        on: tasks, such as ``"mnist-cnn"``, or YAML files that hold one; ``scale`` is ``smoke``, ``cpu`` or ``gpu``.
        budget: seconds after which what is decided is returned.
        every_pair: compare all of them with each other: several words without ``against`` with no others.
        jobs: worker processes; 1 trains in this process, unless on a GPU.
        paths: ``results``, ``data`` and ``plugin``.

    Raises:
        BnbenchError: something is wrong with the request.
    """
    places = _paths(**paths)
    _begun(places, jobs)
    place = study.Place(places.results, places.data, places.plugin)
    request = comparison.read_comparison(words, against, on, scale, place, every_pair)

    with shown_in_notebook() as watch:
        found, refused = comparison.sizes(request.asked, request.scale, place)
        terms = comparison.Terms(request.scale, place, request.claims, jobs)
        dossier = comparison.compare(
            found, terms, budget, watch=lambda name, progress: watch(progress), refused=refused
        )
    facts = comparison.facts_of(request.arms, place)
    given: dict[str, Any] = {
        "against": list(against),
        "on": list(on),
        "scale": "" if scale == "cpu" else scale,
        "budget": 0 if math.isinf(budget) else float(budget),
        "every_pair": every_pair,
        "jobs": jobs,
        **paths,
    }
    command = _call("compare", words, {name: value for name, value in given.items() if value})
    return reports.Document(comparison.dossier_report(request, dossier, facts, place.components, command))
