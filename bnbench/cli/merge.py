"""bnbench merge: sweeps, as from several machines, into one."""

from __future__ import annotations

from typing import Annotated

import typer

from bnbench.cli.options import completed_sweeps
from bnbench.cli.settings import Settings
from bnbench.console import echo
from bnbench.errors import InvalidRequest
from bnbench.text import listing


def merge(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="SWEEP... TARGET",
            autocompletion=completed_sweeps,
            help="Sweeps, by name or folder, then the one that all their runs come into, which may be new.",
        ),
    ],
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-conflicts", help="Of a run with several results take the first; put the others into conflicts/."
        ),
    ] = False,
) -> None:
    """Bring the runs of several sweeps into one, each once; the others stay as they are.

    Examples:
    bnbench merge small more all
    bnbench merge small more all --keep-conflicts
    """
    from bnbench import store

    settings: Settings = context.obj
    if len(words) < 2:
        raise InvalidRequest(["merge: name at least one sweep, then the one that its runs come into"])
    *sources, target = (settings.sweep_folder(word) for word in words)
    if not store.is_sweep(target):
        store.check_place(settings.results, words[-1])
    if target.resolve() in [source.resolve() for source in sources]:
        raise InvalidRequest([f"{words[-1]!r:.80}: a sweep cannot be merged into itself"])
    entry = {"merged": [str(source) for source in sources]}
    merged = store.merge_sweeps(sources, target, entry, store.Merging(keep_conflicts=keep))
    echo(f"{target.name}: {store.merged_in_words(merged)}")
    for source, identities in merged.conflicts.items():
        results = "the result" if len(identities) == 1 else "the results"
        echo(f"not counted: {results} of {listing(identities)} in {source.name}, kept in {target / store.CONFLICTS}")
