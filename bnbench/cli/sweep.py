"""bnbench sweep: a grid of runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bnbench.cli.options import (
    CheckpointEvery,
    Detach,
    DryRun,
    Excludes,
    Extend,
    FailFast,
    Jobs,
    Lanes,
    Launcher,
    Overrides,
    Plugin,
    RetryFailed,
    SaveWeights,
    SearchHalving,
    SearchMethod,
    SearchPer,
    SearchSeed,
    SearchTrials,
    SweepName,
    Timeout,
    Zips,
)
from bnbench.cli.planning import GOES_ON, planning, prestart_plugin, prestarted, told_if_full, told_if_interrupted
from bnbench.cli.search import read_settings, rest_of_bracket, show_rest, train
from bnbench.cli.settings import Settings
from bnbench.errors import InvalidRequest

if TYPE_CHECKING:
    from bnbench import search, session


def sweep(
    context: typer.Context,
    overrides: Overrides = None,
    name: SweepName = None,
    extend: Extend = False,
    dry_run: DryRun = False,
    zips: Zips = None,
    excludes: Excludes = None,
    search: SearchMethod = None,
    trials: SearchTrials = None,
    per: SearchPer = None,
    halving: SearchHalving = None,
    search_seed: SearchSeed = None,
    plugin: Plugin = None,
    jobs: Jobs = None,
    launcher: Launcher = "local",
    lanes: Lanes = "auto",
    retry_failed: RetryFailed = False,
    fail_fast: FailFast = False,
    save_weights: SaveWeights = False,
    checkpoint_every: CheckpointEvery = None,
    timeout: Timeout = None,
    detach: Detach = False,
) -> None:
    """Train every combination of the given values; what is finished is not trained again.

    Example:
    bnbench sweep model=mlp norm=none,batch lr=0.01,0.1 'seed=range(3)'
    """
    start = time.monotonic()
    settings: Settings = context.obj
    with planning(name or "") as show_no_more:
        _begin(settings, name, plugin, to_train=not dry_run)
        from bnbench import session
        from bnbench.launch.settings import divided

        words, place = divided(overrides or ())
        asked = read_settings(search, trials, search_seed, per, halving)
        if detach and asked is not None:
            raise InvalidRequest(["--detach: a search waits for the results of its trials; leave one of them out"])
        options = session.TrainingOptions(launcher, jobs, lanes, fail_fast, place, detach)
        options = options.limited(checkpoint_every, timeout).checked()
        grid = session.Grid(words, zips or (), excludes or ())
        prestart = prestarted(jobs, to_train=not dry_run, launcher=launcher)
        if not dry_run and options.begins:
            prestart = session.Prestart(options.begin)
        paths = session.Paths(settings.results, settings.data, plugin)
        course = None if asked is None else _course(grid, asked, name, paths, prestart)
        plan = (
            session.plan_sweep(grid, name, paths, retry_failed=retry_failed, prestart=prestart)
            if course is None
            else course.begin()
        )
        plan = session.saving_weights(plan) if save_weights else plan
        forecast = _forecast(plan, course, options) if dry_run else None
        show_no_more()
        _check_extension(plan, is_agreed=extend or dry_run or (course is not None and course.has_begun))
    _show(plan, is_named=name is not None, full=dry_run)
    if forecast is None:
        raise typer.Exit(_train(plan, course, options, start, is_named=name is not None))
    _show_estimate(plan, *forecast, extend)
    if course is not None:
        show_rest(course)


def _course(
    grid: session.Grid,
    asked: search.SearchSettings,
    name: str | None,
    paths: session.Paths,
    prestart: session.Prestart | None,
) -> search.Course:
    """See :func:`bnbench.search.prepared`."""
    from bnbench.search import prepared

    return prepared(grid, asked, name, paths, prestart)


def _forecast(
    plan: session.Plan, course: search.Course | None, options: session.TrainingOptions
) -> tuple[int, session.Estimate]:
    """The workers of a plan, and the time that they take, for a search with all rungs of its trials."""
    from bnbench import session

    resources = options.resources(plan)
    if course is None:
        return resources.workers, session.estimate(plan, resources)
    rungs, share = rest_of_bracket(course)
    return resources.workers, session.estimate(plan, resources, rungs).of_part(share)


def _begin(settings: Settings, name: str | None, plugin: Path | None, to_train: bool) -> None:
    """Refuse a name that cannot be used before anything large is imported, then let workers of a plugin begin."""
    from bnbench.store import check_place

    check_place(settings.results, name, to_train=to_train)
    prestart_plugin(plugin)


def _show(plan: session.Plan, is_named: bool, full: bool) -> None:
    """Show a plan, below a name that was chosen for it."""
    from bnbench.cli.display import show_plan
    from bnbench.console import echo

    name = plan.folder.name
    if not is_named:
        echo(f"name: {name} (--name {name} goes on with this sweep)")
    show_plan(plan, name, full)


def _train(
    plan: session.Plan,
    course: search.Course | None,
    options: session.TrainingOptions,
    start: float,
    is_named: bool,
) -> int:
    """Train what is pending and show how it goes; the exit code.

    Args:
        course: of a search, which goes on after the plan.
        start: of the program, on the clock of :func:`time.monotonic`.
    """
    from bnbench.console import echo

    if course is None:
        summary = _train_grid(plan, options, start, is_named)
    else:
        summary = train(course, plan, options, start)
    if summary.interrupted and not is_named:
        echo(f"without a name it would be a new sweep: say --name {plan.folder.name}")
    return 130 if summary.interrupted else 1 if summary.failures else 0


def _train_grid(plan: session.Plan, options: session.TrainingOptions, start: float, is_named: bool) -> session.Summary:
    """Train what is pending of a grid and show how it goes."""
    from bnbench import session
    from bnbench.cli.display import SweepDisplay

    goes_on = f"the same command{'' if is_named else f' with --name {plan.folder.name}'} goes on"
    with told_if_interrupted(GOES_ON), told_if_full(plan.folder, goes_on), SweepDisplay(start) as display:
        summary = session.execute(plan, options, display.update)
    display.end(summary)
    return summary


def _show_estimate(plan: session.Plan, workers: int, estimate: session.Estimate, extend: bool) -> None:
    """Show who trains a plan and how long it takes, below the plan itself."""
    from bnbench import session
    from bnbench.cli.display import estimated
    from bnbench.console import echo

    for line in estimate.engines:
        echo(f"engine: {line}")
    echo(f"estimated time: {estimated(estimate.seconds, workers)}")
    if not extend and session.extension(plan):
        echo("to train them in this sweep, say --extend")


def _check_extension(plan: session.Plan, is_agreed: bool) -> None:
    """Let nobody mix two grids by accident: ask a person, refuse a script.

    Raises:
        InvalidRequest: the plan adds runs to a sweep, and nobody has agreed.
    """
    from bnbench import session

    there = None if is_agreed else session.extension(plan)
    if there is None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty() and has_agreed(f"{there}. Add these?"):
        return
    raise InvalidRequest([f"{there}; add these with --extend, or choose another --name"])


def has_agreed(question: str) -> bool:
    """Ask a person on the terminal; no answer is a no."""
    from rich.prompt import Confirm

    from bnbench.console import plain_console

    try:
        return Confirm.ask(question, default=False, console=plain_console(whole=True))
    except EOFError:
        return False
