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
from bnbench.cli.settings import TRAINING, Plugin, Settings, completed_studies
from bnbench.console import announce, echo
from bnbench.errors import InvalidRequest

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
    from bnbench.launch import begin

    if plugin is not None and plugin.is_file():
        begin("bnbench.worker", "bnbench.plugins")
    from bnbench import session, study
    from bnbench.cli.display import duration
    from bnbench.environment import cores

    settings: Settings = context.obj
    asked = _asked(words or [], plugin)
    if len(asked) != 1:
        raise InvalidRequest(["name one study; bnbench study list shows them"])
    (one,) = asked
    chosen = study.check_scale(scale, [one])
    found = study.outlook(one, chosen, study.Place(settings.results, settings.data, plugin))
    for line in _design(one, chosen):
        echo(line)
    grown = " (more if a grid must grow)" if found.tuning else ""
    echo(f"runs: {found.tuning} for tuning{grown}, {found.reporting} for reporting")
    smallest = "none: with so few seeds every verdict is inconclusive"
    if math.isfinite(found.detectable):
        smallest = f"{found.detectable:.2g} standard deviations of a difference between two runs of one seed"
    echo(f"smallest detectable effect: {smallest}")
    workers = 1 if one.alone else session.worker_count(found.plan)
    time = duration(found.plan.estimate(workers, lanes=1 if one.alone else None))
    amount = f"{len(found.plan.pending)} runs left, {time} with {workers} of {cores()} cores"
    echo(f"estimated time: {amount} (from a few measured steps, without probes)")


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
    seeds = f"{amounts.tuning_seeds} tuning seeds, " if len(amounts.lr) > 1 else ""
    lines.append(f"{scale}: learning rates {rates}; {seeds}{amounts.seeds} reporting seeds")
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
    announce("planning the studies ...")
    from bnbench.launch import begin

    if plugin is not None and plugin.is_file():
        begin("bnbench.worker", "bnbench.plugins")
    from bnbench import session, study
    from bnbench.cli.output import show_views

    settings: Settings = context.obj
    session.check_execution(jobs=jobs)
    asked = _asked([*(study.names() if every else []), *(words or [])], plugin)
    if not asked:
        raise InvalidRequest(["name a study, or say --all; bnbench study list shows them"])
    chosen = study.check_scale(scale, asked)
    place = study.Place(settings.results, settings.data, plugin, retry_failed)
    start = partial(begin, "bnbench.worker") if jobs != 1 else None
    for one in asked:
        study.outlook(one, chosen, place, start)
    changes = asked[0].changes
    study.check_files(study.scorecard_files([one.name for one in asked], chosen, settings.results, changes))
    trainer = _Trainer(jobs)
    found = [study.conduct(one, chosen, place, trainer.train) for one in asked]
    rows = study.scorecard(found)
    echo()
    show_views([study.view(rows, chosen, changes)])
    command = shlex.join(["bnbench", "study", "run", *(["--all"] if every else []), *(words or []), "--scale", chosen])
    written = study.write(rows, chosen, settings.results, command, changes)
    echo(f"\nwrote {' and '.join(str(_shown(path)) for path in written)}", error=True)
    raise typer.Exit(1 if any(one.failures for one in found) else 0)


class _Trainer:
    """Carries out plans and shows how far they are."""

    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs

    def train(self, one: Study, what: str, plan: session.Plan) -> session.Summary:
        """Train what is pending of a plan."""
        from bnbench import study
        from bnbench.cli.display import SweepDisplay, show_plan

        show_plan(plan, f"{one.name}, {what}", full=False)
        with SweepDisplay() as display:
            summary = study.execute(one, plan, self._jobs, display.update)
        if summary.interrupted or summary.failures:
            display.end(summary)
        return summary


def _shown(path: Path) -> Path:
    from bnbench.cli.display import shown_path

    return shown_path(path.absolute())
