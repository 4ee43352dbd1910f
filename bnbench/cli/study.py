"""bnbench study: claims, the runs that decide them, and the scorecard."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnbench.cli.commands import Command, Group
from bnbench.cli.planning import GOES_ON, planning
from bnbench.cli.settings import TRAINING, Plugin, Settings, completed_studies
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench import session
    from bnbench.study import ScaleName, Study

ScaleOption = Annotated[str, typer.Option("--scale", metavar="SCALE", help="smoke (seconds), cpu (minutes) or gpu.")]

app = typer.Typer(
    cls=Group, help="Decide claims about normalization layers: supported, contradicted, no difference, inconclusive."
)


@app.command("list", cls=Command)
def list_studies() -> None:
    """List the studies and their claims; also: bnbench list studies."""
    from bnbench.cli.listing import studies
    from bnbench.console import plain_console

    plain_console().print(studies())


@app.command("show", cls=Command)
def show(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME [OVERRIDES]...",
            autocompletion=completed_studies,
            help="A study, or a YAML file that holds one; settings in place of its own.",
        ),
    ] = None,
    scale: ScaleOption = "cpu",
    plugin: Plugin = None,
) -> None:
    """Show what a study claims, how it decides, and what it will take.

    Example:
    bnbench study show convergence dataset=mnist epochs=3
    """
    settings: Settings = context.obj
    with planning("the study"):
        from bnbench.launch import begin

        if plugin is not None and plugin.is_file():
            begin("bnbench.worker", "bnbench.plugins")
        from bnbench import session, study
        from bnbench.cli.display import estimated
        from bnbench.environment import age, ending

        asked = _asked(words or [], plugin)
        if len(asked) != 1:
            raise InvalidRequest(["name one study; bnbench study list shows them"])
        (one,) = asked
        chosen = study.check_scale(scale, [one])
        found = study.forecast_study(one, chosen, study.Place(settings.results, settings.data, plugin))
        workers = 1 if one.alone else session.worker_count(found.plan)
        before, rounds = age(), 2 if found.tuning else 1
        seconds = before + found.plan.estimate(workers, 1 if one.alone else None, rounds).seconds + ending()
    for line in _design(one, chosen):
        echo(line)
    grown = " (more if a grid must grow)" if found.tuning else ""
    echo(f"runs: {found.tuning} for tuning{grown}, {found.reporting} for reporting")
    smallest = "none: with so few seeds every verdict is inconclusive"
    if math.isfinite(found.detectable):
        smallest = f"{found.detectable:.2g} standard deviations of a difference between two runs of one seed"
    echo(f"smallest detectable effect: {smallest}")
    amount = plural(len(found.plan.pending), "run")
    echo(f"estimated time: {amount} left, {estimated(seconds, workers)}, without probes")


def _asked(words: Sequence[str], plugin: Path | None) -> list[Study]:
    """The studies that some words name, with the settings among the words."""
    from bnbench import study
    from bnbench.plugins import known_components

    names, settings = study.told_apart(words)
    return study.varied(study.load(names), settings, known_components(plugin))


def _design(one: Study, scale: ScaleName) -> list[str]:
    """The study in lines of text."""
    from bnbench.study import merged, sweep_name

    amounts = one.scales[scale]
    lines = [f"{one.name} ({one.source})"]
    for claim in one.claims:
        arm, baseline = claim.compare
        cells = "" if len(one.cells) == 1 else f" in {' less '.join(claim.cells)}"
        least = f"{'factor' if claim.contrast == 'ratio' else 'difference'} {claim.smallest_effect:g}"
        lines.append(f"claim {claim.name}: {claim.says}")
        lines.append(
            f"  {claim.measure.phrase.rstrip(',')} of {arm} against {baseline}{cells}: {claim.expect}, by a {least}"
        )
        lines += [f"  published: {claim.published}"] if claim.published else []
    lines += [f"arm {name}: {' '.join(texts)}" for name, texts in one.arms.items()]
    lines += [f"cell {name}: {' '.join(texts)}" for name, texts in one.cells.items() if texts]
    lines.append(f"all: {' '.join(merged(one.fixed, amounts.overrides))}")
    lines += [f"changed: {' '.join(one.changes)}; its runs are in the sweep {sweep_name(one, scale)}"] * bool(
        one.changes
    )
    lines += [f"not tested: {text}" for text in one.not_tested]
    rates = " ".join(f"{lr:g}" for lr in amounts.lr)
    seeds = f"{plural(amounts.tuning_seeds, 'tuning seed')}, " if len(amounts.lr) > 1 else ""
    lines.append(f"{scale}: learning rates {rates}; {seeds}{plural(amounts.seeds, 'reporting seed')}")
    return lines


@app.command("run", cls=Command)
def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]... [OVERRIDES]...",
            autocompletion=completed_studies,
            help="Studies, or YAML files that hold one; and settings in place of their own.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All studies that come with bnbench.")] = False,
    scale: ScaleOption = "cpu",
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", rich_help_panel=TRAINING, help="Worker processes.  \\[default: one per core or GPU]"),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", rich_help_panel=TRAINING, help="Try failed runs again.")
    ] = False,
    plugin: Plugin = None,
) -> None:
    """Train what studies still lack, decide their claims together, and print the scorecard.

    Settings make another study of it, with a sweep and a scorecard of its own.

    Examples:
    bnbench study run convergence small_batch
    bnbench study run convergence dataset=mnist epochs=3 seeds=6
    """
    settings: Settings = context.obj
    with planning("the studies"):
        from bnbench.launch import begin

        if plugin is not None and plugin.is_file():
            begin("bnbench.worker", "bnbench.plugins")
        from bnbench import session, study
        from bnbench.cli.output import show_views

        session.check_execution(jobs=jobs)
        asked = _asked([*(study.names() if every else []), *(words or [])], plugin)
        if not asked:
            raise InvalidRequest(["name a study, or say --all; bnbench study list shows them"])
        chosen = study.check_scale(scale, asked)
        changes = asked[0].changes
        study.check_files(study.scorecard_files([one.name for one in asked], chosen, settings.results, changes))
        place = study.Place(settings.results, settings.data, plugin, retry_failed)
        study.check_places(asked, chosen, place)
        start = partial(begin, "bnbench.worker") if jobs != 1 else None
        for one in asked:
            study.forecast_study(one, chosen, place, start)
    trainer = _Trainer(jobs)
    try:
        found = [study.run_study(one, chosen, place, trainer.train) for one in asked]
    except KeyboardInterrupt:
        if not trainer.interrupted:
            echo(GOES_ON)
        raise
    rows = study.scorecard(found)
    echo()
    show_views([study.view(rows, chosen, changes)])
    command = shlex.join(["bnbench", "study", "run", *(["--all"] if every else []), *(words or []), "--scale", chosen])
    written = study.write(rows, chosen, settings.results, command, changes)
    echo(f"\nwrote {' and '.join(str(_shown(path)) for path in written)}", error=True)
    raise typer.Exit(1 if any(one.failures for one in found) else 0)


class _Trainer:
    """Carries out plans and shows how far they are.

    Attributes:
        interrupted: whether the user stopped a training, and was told so.
    """

    def __init__(self, jobs: int | None) -> None:
        self._jobs, self.interrupted = jobs, False

    def train(self, one: Study, what: str, plan: session.Plan) -> session.Summary:
        """Train what is pending of a plan."""
        from bnbench import study
        from bnbench.cli.display import SweepDisplay, show_plan

        show_plan(plan, f"{one.name}, {what}")
        with SweepDisplay() as display:
            summary = study.execute(one, plan, self._jobs, display.update)
        if summary.interrupted or summary.failures:
            display.end(summary)
        self.interrupted = summary.interrupted
        return summary


def _shown(path: Path) -> Path:
    from bnbench.cli.display import shown_path

    return shown_path(path.absolute())
