"""bnbench compare: every question asked of a norm against others, and the dossier of its verdicts."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
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
from bnbench.cli.planning import GOES_ON, planning, prestart_plugin, told_if_full
from bnbench.cli.settings import STANDARD_OUTPUT, Settings
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.compare import Arm, Asked, Dossier, Size
    from bnbench.reports import Report
    from bnbench.study import Place, Row, ScaleName


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
    bnbench compare mine 'group groups=8' --plugin my_norms.py --budget 5m
    """
    settings: Settings = context.obj
    began = time.monotonic()
    with planning("the comparison"):
        prestart_plugin(plugin)
        from bnbench import compare as comparison
        from bnbench import session, study

        session.TrainingOptions(jobs=jobs).check()
        place = study.Place(settings.results, settings.data, plugin, retry_failed)
        asked, arms, scale_name = _asked(words, against, on, every, scale, place)
        found = comparison.sizes(asked, scale_name, place)
        seconds = [comparison.estimated_seconds(size, jobs) for size in found] if dry_run else []
    _show_sizes(found, seconds)
    if dry_run:
        raise typer.Exit
    left = float("inf") if budget is None else budget - (time.monotonic() - began)
    dossier = _trained(found, scale_name, place, jobs, left)
    command = shlex.join(["bnbench", *sys.argv[1:]])
    facts = comparison.facts_of(arms, place)
    _show(comparison.dossier_report(asked, dossier, arms, facts, place.components, command), out)
    raise typer.Exit(1 if dossier.failures else 0)


def _asked(
    words: Sequence[str],
    against: Sequence[str] | None,
    tasks: Sequence[str] | None,
    every: bool,
    scale: str,
    place: Place,
) -> tuple[list[Asked], list[Arm], ScaleName]:
    """The questions of the comparison, and all of its arms."""
    from bnbench import compare as comparison
    from bnbench import study
    from bnbench.study.questions import load_questions, question_names

    overrides = [word for word in words if _is_setting(word)]
    texts = [word for word in words if word not in overrides]
    if not texts:
        raise InvalidRequest(["name the norm that is to be compared, as in bnbench compare rms"])
    others = list(against) if against else [name for name in comparison.AGAINST if name not in texts]
    every_arm = comparison.read_arms([*texts, *others], place.components)
    arms, rivals = every_arm[: len(texts)], every_arm[len(texts) :]
    scale_name = study.check_scale(scale, [])
    asked = comparison.ask(
        load_questions(question_names()), every_arm, comparison.pairs_of(arms, rivals, every), scale_name
    )
    asked = comparison.varied_questions(asked, comparison.load_tasks(tasks or []), overrides, place.components)
    study.check_places([one.study for one in asked], scale_name, place)
    return asked, every_arm, scale_name


def _is_setting(word: str) -> bool:
    """``seeds=10`` is a setting; ``mine``, ``norm=mine`` and ``group groups=8`` are arms."""
    return "=" in word and not word.startswith("norm=") and " " not in word.strip()


def _show_sizes(found: Sequence[Size], seconds: Sequence[float]) -> None:
    """The size of the comparison; with the time of each question where it was estimated."""
    from bnbench.cli.display import duration
    from bnbench.environment import cores

    runs, finished = sum(size.runs for size in found), sum(size.finished for size in found)
    claims = sum(len(size.asked.study.claims) for size in found)
    there = f", {finished:,} finished already" if finished else ""
    echo(f"{plural(len(found), 'question')}, {plural(claims, 'claim')}: {plural(runs, 'run')} to train{there}")
    for size, one in zip(found, seconds, strict=bool(seconds)):
        echo(f"  {size.asked.heads}: {plural(size.runs, 'run')}, {duration(one)}")
    if seconds:
        echo(f"about {duration(sum(seconds))} with {plural(cores(), 'core')}, without probes; more if a grid must grow")


def _trained(found: Sequence[Size], scale: ScaleName, place: Place, jobs: int | None, budget: float) -> Dossier:
    """Train and decide; say how to go on if the user stops it."""
    from bnbench import compare as comparison
    from bnbench.cli.study import Trainer

    trainer = Trainer(jobs)
    try:
        with told_if_full(place.results):
            return comparison.compare(found, scale, place, trainer.train, budget, _show_question)
    except KeyboardInterrupt:
        if not trainer.interrupted:
            echo(GOES_ON)
        raise


def _show_question(asked: Asked, rows: Sequence[Row]) -> None:
    """A line per question as soon as it is decided."""
    from bnbench.compare.views import outcome_counts

    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcome_counts(rows).items())
    echo(f"decided: {asked.heads}: {counts}")


def _show(report: Report, out: Path | None) -> None:
    """Print the verdicts, or write the whole dossier to a file."""
    from bnbench import compare as comparison
    from bnbench import reports
    from bnbench.cli.output import format_of, show_report, write_text

    echo()
    show_report(comparison.short_report(report))
    if out is not None and out != STANDARD_OUTPUT:
        write_text(out, reports.render(report, format_of(out)))
