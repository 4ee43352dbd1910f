"""bnbench study: claims, the runs that decide them, and the scorecard."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bnbench.cli.commands import Command, Group
from bnbench.cli.options import AllStudies, Jobs, Out, Plugin, RetryFailed, Scale, StudiesWords, StudyWords
from bnbench.cli.planning import GOES_ON, planning, prestart_plugin, prestarted, told_if_full
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench import session
    from bnbench.study import Findings, Place, ScaleName, Study, StudyForecast

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
def show(context: typer.Context, words: StudyWords = None, scale: Scale = "cpu", plugin: Plugin = None) -> None:
    """Show what a study claims, how it decides, and what it will take.

    Example:
    bnbench study show convergence dataset=mnist epochs=3
    """
    settings: Settings = context.obj
    with planning("the study"):
        prestart_plugin(plugin)
        from bnbench import session, study
        from bnbench.cli.display import estimated, taken_over_line

        studies = _asked(words or [], plugin)
        if len(studies) != 1:
            raise InvalidRequest(["name one study; bnbench study list shows them"])
        (one,) = studies
        scale_name = study.check_scale(scale, [one])
        prestart = None if one.alone else prestarted(None, to_train=False)
        forecast = study.forecast_study(one, scale_name, study.Place(settings.results, settings.data, plugin), prestart)
        resources = study.training_options(one, forecast.plan).resources(forecast.plan)
        seconds = session.estimate(forecast.plan, resources, 2 if forecast.tuning else 1).seconds
    for line in [*_design(one, scale_name), *_size(forecast)]:
        echo(line)
    if counts := forecast.elsewhere_counts:
        echo(taken_over_line(counts, "will be taken over"))
    amount = plural(len(forecast.plan.pending), "run")
    echo(f"estimated time: {amount} left, {estimated(seconds, resources.workers)}, without probes")


def _size(forecast: StudyForecast) -> list[str]:
    """The number of runs, and the smallest effect that they show, in lines of text."""
    grown = " (more if a grid must grow)" if forecast.tuning else ""
    smallest = "none: with so few replicates every verdict is inconclusive"
    if math.isfinite(forecast.detectable):
        smallest = f"{forecast.detectable:.2g} standard deviations of a difference between the arms of a replicate"
    return [
        f"runs: {forecast.tuning} for tuning{grown}, {forecast.reporting} for reporting",
        f"smallest detectable effect: {smallest}",
    ]


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
    tuned = any(not claim.measure.every_lr for claim in one.claims) and len(amounts.lr) > 1
    choice = f", each chooses its own by {plural(amounts.tuning_seeds, 'run')} at each" if tuned else ""
    lines.append(f"{scale}: {plural(amounts.seeds, 'replicate')}; learning rates {rates}{choice}")
    return lines


@app.command("run", cls=Command)
def run(
    context: typer.Context,
    words: StudiesWords = None,
    every: AllStudies = False,
    scale: Scale = "cpu",
    jobs: Jobs = None,
    retry_failed: RetryFailed = False,
    out: Out = None,
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
        prestart_plugin(plugin)
        from bnbench import session, study
        from bnbench.cli.output import checked_output

        session.TrainingOptions(jobs=jobs).check()
        file = checked_output(out)
        studies = _asked([*(study.names_of_all() if every else []), *(words or [])], plugin)
        if not studies:
            raise InvalidRequest(["name a study, or say --all; bnbench study list shows them"])
        scale_name = study.check_scale(scale, studies)
        place = study.Place(settings.results, settings.data, plugin, retry_failed)
        _plan(studies, scale_name, place, jobs)
    findings = _trained(studies, scale_name, place, jobs)
    command = shlex.join(
        ["bnbench", "study", "run", *(["--all"] if every else []), *(words or []), "--scale", scale_name]
    )
    _decide(findings, scale_name, settings.results, command, file)
    raise typer.Exit(1 if any(one.failures for one in findings) else 0)


def _plan(studies: Sequence[Study], scale: ScaleName, place: Place, jobs: int | None) -> None:
    """Plan studies, and refuse them if something is wrong, before anything is trained."""
    from bnbench import study

    study.check_replicates(studies, scale)
    names = [one.name for one in studies]
    study.check_files(study.scorecard_files(names, scale, place.results, studies[0].changes))
    study.check_places(studies, scale, place)
    prestart = prestarted(jobs, to_train=True)
    for one in studies:
        study.forecast_study(one, scale, place, prestart)


def _trained(studies: Sequence[Study], scale: ScaleName, place: Place, jobs: int | None) -> list[Findings]:
    """Train what studies still lack; say how to go on if the user stops it."""
    from bnbench import study

    trainer = Trainer(jobs)
    try:
        with told_if_full(place.results):
            return [study.run_study(one, scale, place, trainer.train) for one in studies]
    except KeyboardInterrupt:
        if not trainer.interrupted:
            echo(GOES_ON)
        raise


def _decide(
    studies: Sequence[Findings], scale: ScaleName, results: Path, command: str, out: Path | None = None
) -> None:
    """Decide the claims of studies; print the scorecard and write it, with the command that it comes from.

    Args:
        out: a file for it beside those in the results folder.
    """
    from bnbench import reports, study
    from bnbench.cli.output import format_of, show_report, write_text

    rows, changes = study.scorecard(studies), studies[0].study.changes
    shown = study.report(rows, scale, changes)
    echo()
    show_report(shown)
    if out is not None:
        from bnbench.environment import environment

        where = tuple((key, str(value)) for key, value in environment().items())
        whole = replace(shown, provenance=(("command", command), *where))
        write_text(out, reports.render(whole, format_of(out)))
    files = study.write(rows, scale, results, command, changes)
    echo(f"\nwrote {' and '.join(str(_shown(path)) for path in files)}", error=True)


class Trainer:
    """Carries out plans and shows how far they are.

    Attributes:
        interrupted: whether the user stopped a training, and was told so.
    """

    def __init__(self, jobs: int | None) -> None:
        self._jobs, self.interrupted = jobs, False

    def train(self, one: Study, part: str, plan: session.Plan) -> session.Summary:
        """Train what is pending of a plan."""
        from bnbench import study
        from bnbench.cli.display import SweepDisplay, show_plan

        show_plan(plan, f"{one.name}, {part}")
        with SweepDisplay() as display:
            summary = study.execute(one, plan, self._jobs, display.update)
        if summary.interrupted or summary.failures:
            display.end(summary)
        self.interrupted = summary.interrupted
        return summary


def _shown(path: Path) -> Path:
    from bnbench.paths import shown_path

    return shown_path(path.absolute())
