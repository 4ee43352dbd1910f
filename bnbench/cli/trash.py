"""bnbench rm and restore: sweeps and runs into the trash, and out of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.options import completed_runs_and_sweeps
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import listing, plural


def rm(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SWEEP|RUN...]",
            autocompletion=completed_runs_and_sweeps,
            help="Sweeps, and runs, those of one sweep as SWEEP/RUN.",
        ),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty-trash", help="Delete for good what is in the trash.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the trash is emptied.")] = False,
) -> None:
    """Move sweeps or runs to the trash, from which restore puts them back.

    Example:
    bnbench rm small/r4618
    """
    settings: Settings = context.obj
    if empty == bool(words):
        raise InvalidRequest(["rm: name sweeps or runs, or say --empty-trash"])
    if empty:
        _empty_trash(settings.results, yes)
    else:
        _remove(settings, words or [])


def _remove(settings: Settings, words: list[str]) -> None:
    """Move all that is named to the trash; nothing if a word names nothing.

    Raises:
        BnbenchError: a word names nothing, or too much, or a program adds to a sweep.
    """
    from bnbench import store
    from bnbench.cli.references import RunPlace, exact_reference

    targets = list(dict.fromkeys(exact_reference(settings, word) for word in words))
    sweeps = [target for target in targets if isinstance(target, Path)]
    runs: dict[Path, list[RunPlace]] = {}
    for target in targets:
        if isinstance(target, RunPlace) and target.folder not in sweeps:
            runs.setdefault(target.folder, []).append(target)
    for folder in (*sweeps, *runs):
        store.check_free(folder)
    for folder in sweeps:
        _tell(folder.name, store.remove_sweep(folder))
    for folder, its in runs.items():
        place = store.remove_runs(folder, [run.identity for run in its])
        _tell(f"{plural(len(its), 'run')} of {folder.name}", place)
        if counted := [run.identity for run in its if run.status in store.RESULTS]:
            verb = "has a result" if len(counted) == 1 else "have results"
            echo(f"reports of {folder.name} no longer count {listing(counted)}, which {verb}")


def _tell(moved: str, place: Path) -> None:
    words = ["bnbench", "restore", place.name]
    results = place.parent.parent
    if results.absolute() != Path("results").absolute():
        words += ["--results", str(results)]
    echo(f"moved {moved} to the trash; put back with: {shlex.join(words)}")


def _empty_trash(results: Path, yes: bool) -> None:
    """Delete what is in the trash, once a person has agreed, or the option has.

    Raises:
        InvalidRequest: nobody has agreed.
    """
    from bnbench import store

    places = store.trashed(results)
    if not places:
        store.empty_trash(results, ())  # of what a program has left that died
        echo(f"there is nothing in the trash {results / store.TRASH}")
        return
    names = listing([place.name for place in places])
    if not yes:
        question = f"Delete for good {names}?"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InvalidRequest([f"rm --empty-trash: {question} Say --yes"])
        from bnbench.cli.sweep import has_agreed

        if not has_agreed(question):
            echo("nothing was deleted")
            return
    store.empty_trash(results, places)
    echo(f"deleted {names}")


def completed_trash(incomplete: str) -> list[str]:
    """What is in the trash, by what is typed of it."""
    from bnbench.cli.completed_results import trash, typed_settings

    return trash(typed_settings(), incomplete)


def restore(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", autocompletion=completed_trash, help="As rm has said it, or the sweep's name."),
    ],
) -> None:
    """Put back what rm has moved to the trash."""
    from bnbench import store

    settings: Settings = context.obj
    place = store.find_trashed(settings.results, name)
    folder = store.restore(place)
    echo(f"put back {place.name}: {folder}")
