"""bnbench rename: another name for a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from bnbench.cli.options import completed_sweeps
from bnbench.cli.settings import Settings
from bnbench.console import echo


def rename(
    context: typer.Context,
    old: Annotated[
        str, typer.Argument(metavar="SWEEP", autocompletion=completed_sweeps, help="A sweep, by name or folder.")
    ],
    new: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
) -> None:
    """Give a sweep another name; nothing in its folder changes.

    Example:
    bnbench rename small first-try
    """
    from bnbench import store

    settings: Settings = context.obj
    folder = settings.sweep_folder(old)
    target = store.rename_sweep(folder, new)
    echo(f"{folder.name} is {target.name} now: {target}")
