"""bnbench run: one run, shown while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.planning import INTERRUPTED, planning, told_if_interrupted
from bnbench.cli.settings import Overrides, Plugin, Settings, path_of


def run(
    context: typer.Context,
    overrides: Overrides = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The sweep that the run belongs to.")] = "runs",
    source: Annotated[
        Path | None,
        typer.Option("--from", parser=path_of("--from"), metavar="SPEC.yaml", help="Repeat the run of a spec file."),
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Train one run and show its progress.

    Example:
    bnbench run dataset=digits model=mlp norm=batch batch_size=8 lr=0.03
    """
    settings: Settings = context.obj
    with planning("the run"):
        from bnbench.store import check_place

        check_place(settings.results, name)
        from bnbench.launch import prestart

        if plugin is not None and plugin.is_file():
            prestart("bnbench.worker", "bnbench.plugins")
        from bnbench import session
        from bnbench.cli.display import RunDisplay

        plan = session.plan_run(
            overrides or [], name, results=settings.results, data=settings.data, plugin=plugin, source=source
        )
    display = RunDisplay()
    display.start(plan)
    with told_if_interrupted(INTERRUPTED):
        summary = session.execute_run(plan, display.record, display.silent)
    display.end(summary)
    raise typer.Exit(130 if summary.interrupted else 1 if summary.failures else 0)
