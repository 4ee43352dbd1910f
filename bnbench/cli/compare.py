"""bnbench compare: every question asked of a norm against others, and the dossier of its verdicts."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bnbench.cli.options import (
    Against,
    AllPairs,
    ArmWords,
    Budget,
    DryRun,
    Jobs,
    Out,
    Plugin,
    RetryFailed,
    Scale,
    Tasks,
)
from bnbench.cli.planning import GOES_ON, planning, prestart_plugin, told_if_full, told_if_interrupted
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.comparison import Asked, Comparison, Dossier, Size
    from bnbench.study import Place, Row


def compare(
    context: typer.Context,
    words: ArmWords,
    against: Against = None,
    on: Tasks = None,
    every: AllPairs = False,
    scale: Scale = "cpu",
    budget: Budget = None,
    dry_run: DryRun = False,
    jobs: Jobs = None,
    retry_failed: RetryFailed = False,
    out: Out = None,
    plugin: Plugin = None,
) -> None:
    """Ask every question of a norm, against others, and print the dossier of its verdicts.

    Examples:
    bnbench compare rms --against layer --scale smoke
    bnbench compare max 'group groups=8' --plugin my_norms.py --budget 5m
    """
    settings: Settings = context.obj
    began = time.monotonic()
    with planning("the comparison"):
        prestart_plugin(plugin)
        from bnbench import comparison, session, study
        from bnbench.cli.output import checked_output

        session.TrainingOptions(jobs=jobs).check()
        file = checked_output(out)
        place = study.Place(settings.results, settings.data, plugin, retry_failed)
        request = comparison.read_comparison(words, against or (), on or (), scale, place, every)
        found, refused = comparison.sizes(request.asked, request.scale, place)
        seconds = [comparison.estimated_seconds(size, jobs) for size in found] if dry_run else []
    planned = time.monotonic() - began
    show_sizes(request, found, refused, seconds, dry_run, planned)
    if dry_run:
        raise typer.Exit
    dossier = trained(request, (found, refused), place, jobs, (math.inf if budget is None else budget) - planned)
    _show(request, dossier, place, file)
    raise typer.Exit(1 if dossier.failures else 0)


def show_sizes(
    request: Comparison,
    found: Sequence[Size],
    refused: Mapping[str, str],
    seconds: Sequence[float] = (),
    dry_run: bool = False,
    planned: float = 0.0,
) -> None:
    """The size of the comparison; with the time of each question where it was estimated.

    Args:
        refused: why questions cannot be asked, by their names.
        planned: seconds that planning it takes.
    """
    from bnbench import comparison
    from bnbench.cli.display import taken_over_line
    from bnbench.environment import cores
    from bnbench.text import duration

    runs, finished = sum(size.runs for size in found), sum(size.finished for size in found)
    there = f", {finished:,} finished already" if finished else ""
    echo(f"{plural(len(found), 'question')}, {plural(request.claims, 'claim')}: {plural(runs, 'run')} to train{there}")
    if counts := comparison.results_elsewhere(found):
        echo(taken_over_line(counts, "will be taken over" if dry_run else "taken over"))
    echo(comparison.power_note(request))
    heads = {one.name: one.heads for one in request.asked}
    for name, reason in refused.items():
        echo(f"not asked: {heads[name]}: {reason}")
    for size, one in zip(found, seconds, strict=bool(seconds)):
        echo(f"  {size.asked.heads}: {plural(size.runs, 'run')}, {duration(one)}")
    if seconds:
        whole = f"about {duration(planned + sum(seconds))} with {plural(cores(), 'core')}"
        echo(f"{whole}, without probes; more if a grid must grow")


def trained(
    request: Comparison, sizes: tuple[Sequence[Size], Mapping[str, str]], place: Place, jobs: int | None, budget: float
) -> Dossier:
    """Train and decide; say how to go on if the user stops it.

    Args:
        sizes: as of :func:`bnbench.comparison.sizes`.
    """
    from bnbench import comparison
    from bnbench.cli.comparison_display import ComparisonDisplay

    terms = comparison.Terms(request.scale, place, request.claims, jobs)
    with told_if_interrupted(GOES_ON), told_if_full(place.results), ComparisonDisplay() as display:

        def show(asked: Asked, rows: Sequence[Row]) -> None:
            with display.paused():
                _show_question(asked, rows)

        found, refused = sizes
        return comparison.compare(found, terms, budget, show, display.update, refused)


def _show_question(asked: Asked, rows: Sequence[Row]) -> None:
    """A line and a table per question as soon as it is decided; of many arms the line alone."""
    from bnbench import reports
    from bnbench.cli.output import show_report
    from bnbench.comparison.overview import FEWEST_ARMS
    from bnbench.comparison.views import outcome_counts, question_view

    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcome_counts(rows).items())
    echo(f"decided: {asked.heads}: {counts}")
    if len(dict(asked.pairs)) < FEWEST_ARMS:
        show_report(reports.Report("", (), (question_view(asked, rows),)))


def _show(request: Comparison, dossier: Dossier, place: Place, out: Path | None) -> None:
    """Print the verdicts, and write the whole dossier to a file."""
    from bnbench import comparison, reports
    from bnbench.cli.output import format_of, show_report, write_text

    command, facts = shlex.join(["bnbench", *sys.argv[1:]]), comparison.facts_of(request.arms, place)
    report = comparison.dossier_report(request, dossier, facts, place.components, command)
    echo()
    show_report(comparison.short_report(report))
    if out is not None:
        write_text(out, reports.render(report, format_of(out)))
