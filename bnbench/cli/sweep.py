"""bnbench sweep: a grid of runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from bnbench.cli.settings import Overrides, Plugin, Settings
from bnbench.console import announce


def sweep(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The sweep's folder under --results.")],
    overrides: Overrides = None,
    zips: Annotated[
        list[str] | None, typer.Option("--zip", metavar="TEXT", help="Factors that advance together: 'a=1,2 b=3,4'.")
    ] = None,
    excludes: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="TEXT", help="Leave out: 'norm=none batch_size=2'.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be trained, and how long.")] = False,
    jobs: Annotated[int | None, typer.Option(help="Worker processes.  [default: one per core or GPU]")] = None,
    launcher: Annotated[str, typer.Option(help="Where runs train: local or inline.")] = "local",
    lanes: Annotated[str, typer.Option(help="Runs trained as one network: auto, off or a number.")] = "auto",
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed runs again.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
    plugin: Plugin = None,
) -> None:
    """Train every combination of the given values; what is finished is not trained again.

    Example: bnbench sweep --name small norm=none,batch,group batch_size=2,8,32 lr=0.01,0.1 seed=range(3)
    """
    began = time.monotonic()
    announce(f"planning {name} ...")
    from bnbench.launch import begin

    if plugin is not None or (launcher == "local" and jobs != 1):
        begin("bnbench.worker")
    from bnbench import session
    from bnbench.cli.display import SweepDisplay, show_plan

    settings: Settings = context.obj
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
    )
    show_plan(plan, name, full=dry_run, planning=time.monotonic() - began)
    if dry_run:
        return
    with SweepDisplay(began) as display:
        summary = session.execute(
            plan, launcher=launcher, jobs=jobs, lanes=lanes, fail_fast=fail_fast, watch=display.update
        )
    display.end(summary)
    raise typer.Exit(130 if summary.interrupted else 1 if summary.failures else 0)
