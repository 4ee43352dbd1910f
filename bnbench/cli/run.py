"""bnbench run: one run, shown while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.options import CheckpointEvery, Overrides, Plugin, RunName, SaveWeights, Timeout
from bnbench.cli.planning import INTERRUPTED, planning, prestart_plugin, told_if_full, told_if_interrupted
from bnbench.cli.settings import Settings, path_of


def run(
    context: typer.Context,
    overrides: Overrides = None,
    name: RunName = "runs",
    source: Annotated[
        Path | None,
        typer.Option("--from", parser=path_of("--from"), metavar="SPEC.yaml", help="Repeat the run of a spec file."),
    ] = None,
    plugin: Plugin = None,
    save_weights: SaveWeights = False,
    checkpoint_every: CheckpointEvery = None,
    timeout: Timeout = None,
) -> None:
    """Train one run and show its progress.

    Example:
    bnbench run dataset=digits model=mlp norm=batch batch_size=8 lr=0.03
    """
    settings: Settings = context.obj
    with planning("the run"):
        from bnbench.store import check_place

        check_place(settings.results, name)
        prestart_plugin(plugin)
        from bnbench import session
        from bnbench.cli.display import RunDisplay

        paths = session.Paths(settings.results, settings.data, plugin)
        plan = session.plan_run(overrides or [], name, paths, source)
        plan = session.saving_weights(plan) if save_weights else plan
    display = RunDisplay()
    display.start(plan)
    with told_if_interrupted(INTERRUPTED), told_if_full(plan.folder, "give the command again"):
        options = session.SINGLE.limited(checkpoint_every, timeout)
        summary = session.execute_run(plan, display.record, display.silent, options)
    display.end(summary)
    raise typer.Exit(130 if summary.interrupted else 1 if summary.failures else 0)
