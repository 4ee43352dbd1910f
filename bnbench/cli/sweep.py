"""bnbench sweep: a grid of runs."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bnbench.cli.planning import GOES_ON, planning, told_if_interrupted
from bnbench.cli.settings import GRID, TRAINING, Overrides, Plugin, Settings
from bnbench.errors import InvalidRequest

if TYPE_CHECKING:
    from bnbench import session


def sweep(
    context: typer.Context,
    overrides: Overrides = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The sweep's folder under --results. Default: model-dataset-date."),
    ] = None,
    extend: Annotated[bool, typer.Option("--extend", help="Add these runs to a sweep with another grid.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be trained, and how long.")] = False,
    zips: Annotated[
        list[str] | None,
        typer.Option(
            "--zip", metavar="TEXT", rich_help_panel=GRID, help="Factors that advance together: 'a=1,2 b=3,4'."
        ),
    ] = None,
    excludes: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="TEXT", rich_help_panel=GRID, help="Leave out: 'norm=none batch_size=2'."),
    ] = None,
    plugin: Plugin = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", rich_help_panel=TRAINING, help="Worker processes.  \\[default: one per core or GPU]"),
    ] = None,
    launcher: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=TRAINING, help="Where runs train: local or inline.")
    ] = "local",
    lanes: Annotated[
        str,
        typer.Option(metavar="N", rich_help_panel=TRAINING, help="Runs trained as one network: auto, off or a number."),
    ] = "auto",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", rich_help_panel=TRAINING, help="Try failed runs again.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", rich_help_panel=TRAINING, help="Stop at the first failure.")
    ] = False,
) -> None:
    """Train every combination of the given values; what is finished is not trained again.

    Example:
    bnbench sweep model=mlp norm=none,batch lr=0.01,0.1 'seed=range(3)'
    """
    began = time.monotonic()
    settings: Settings = context.obj
    with planning("" if name is None else name) as show_no_more:
        from bnbench.store import check_place

        check_place(settings.results, name, to_train=not dry_run)
        from bnbench.launch import prestart

        if plugin is not None and plugin.is_file():
            prestart("bnbench.worker", "bnbench.plugins")
        from bnbench import session
        from bnbench.cli.display import SweepDisplay, estimated, show_plan
        from bnbench.console import echo
        from bnbench.environment import age, ending

        session.check_execution(launcher, jobs, lanes)
        plan = session.plan_sweep(
            overrides or [],
            name,
            results=settings.results,
            data=settings.data,
            zips=zips or (),
            excludes=excludes or (),
            plugin=plugin,
            retry_failed=retry_failed,
            start=partial(prestart, "bnbench.worker") if launcher == "local" and jobs != 1 and not dry_run else None,
        )
        workers = session.worker_count(plan, jobs, launcher)
        if dry_run:
            estimate = plan.estimate(workers, session.most_lanes(lanes))
            left = age() + estimate.seconds + ending()
        show_no_more()
        chosen = plan.folder.name
        if not (extend or dry_run):
            _check_extension(plan)
    if name is None:
        echo(f"name: {chosen} (--name {chosen} goes on with this sweep)")
    show_plan(plan, chosen, full=dry_run)
    if dry_run:
        for line in estimate.engines:
            echo(f"engine: {line}")
        echo(f"estimated time: {estimated(left, workers)}")
        if not extend and session.extension(plan):
            echo("to train them in this sweep, say --extend")
        return
    with told_if_interrupted(GOES_ON), SweepDisplay(began) as display:
        summary = session.execute(
            plan, launcher=launcher, jobs=jobs, lanes=lanes, fail_fast=fail_fast, watch=display.update
        )
    display.end(summary)
    if summary.interrupted and name is None:
        echo(f"without a name it would be a new sweep: say --name {chosen}")
    raise typer.Exit(130 if summary.interrupted else 1 if summary.failures else 0)


def _check_extension(plan: session.Plan) -> None:
    """Let nobody mix two grids by accident: ask a person, refuse a script.

    Raises:
        InvalidRequest: the plan adds runs to a sweep, and nobody has agreed.
    """
    from bnbench import session

    there = session.extension(plan)
    if there is None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty() and _agreed(f"{there}. Add these?"):
        return
    raise InvalidRequest([f"{there}; add these with --extend, or choose another --name"])


def _agreed(question: str) -> bool:
    from rich.prompt import Confirm

    from bnbench.console import plain_console

    try:
        return Confirm.ask(question, default=False, console=plain_console(whole=True))
    except EOFError:
        return False
