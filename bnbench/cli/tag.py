"""bnbench tag: words given to runs, by which they are found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.options import completed_runs_and_tags
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import plural


def tag(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN... TAG",
            autocompletion=completed_runs_and_tags,
            help="Runs by their ids, those of one sweep as SWEEP/RUN, and one word for them.",
        ),
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag from the runs.")] = False,
) -> None:
    """Give runs a tag; ls and show print it, `ls tag=best` finds them.

    Example:
    bnbench tag r4618 small/r6206 best
    """
    from bnbench import store

    settings: Settings = context.obj
    *runs, name = words
    if not runs:
        raise InvalidRequest([f"tag: name the runs, then the tag; there is only {name!r:.80}"])
    store.check_tag(name)
    places = _places(settings, runs)
    for folder in places:
        store.check_writable(folder)
    changed = [(folder, store.change_tag(folder, identities, name, remove)) for folder, identities in places.items()]
    for folder, identities in changed:
        has = "has" if len(identities) == 1 else "have"
        verb = f"no longer {has}" if remove else has
        none = "no run had it" if remove else "all runs had it already"
        count = f"{plural(len(identities), 'run')} {verb} the tag {name}"
        echo(f"{folder.name}: {count if identities else none}")


def _places(settings: Settings, words: Sequence[str]) -> dict[Path, dict[str, None]]:
    """The runs that some words name, by the folders of their sweeps.

    Raises:
        InvalidRequest: a word names none.
    """
    from bnbench.cli.references import no_run, run_places

    places: dict[Path, dict[str, None]] = {}
    for word in words:
        told: list[str] = []
        if not (found := run_places(settings, word, told)):
            raise no_run(settings, word, told)
        for place in found:
            places.setdefault(place.folder, {})[place.identity] = None
    return places
