"""bnbench export: runs for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnbench.cli.options import EXPORT_NAMES, completed_runs_and_sweeps, one_of
from bnbench.cli.settings import Settings, path_of
from bnbench.console import echo
from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import shown_path
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench import store


def export(
    context: typer.Context,
    word: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP|RUN", autocompletion=completed_runs_and_sweeps, help="A sweep, or a run by its id."
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORM",
            autocompletion=one_of(*EXPORT_NAMES),
            help="spec (YAML), csv, tensorboard, mlflow or wandb.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", parser=path_of("--out"), metavar="DIR", help="A folder, new or empty.")],
) -> None:
    """Write the runs of a sweep, or one run, for other programs.

    Example:
    bnbench export small --to csv --out small-tables
    """
    from bnbench import store
    from bnbench.cli.references import RunPlace, reference

    settings: Settings = context.obj
    if form not in EXPORT_NAMES:
        raise InvalidRequest([f"--to {form:.80}: {nearest(form, EXPORT_NAMES)}"])
    place = reference(settings, word)
    _check_free(out)
    folder, identities = (place.folder, [place.identity]) if isinstance(place, RunPlace) else (place, None)
    runs = store.load_single_runs(folder, identities or list(store.checked_rows(folder)))
    notes = _exported(form, runs, out)
    echo(f"wrote {plural(len(runs), 'run')} to {shown_path(out)}", error=True)
    for note in notes:
        echo(note, error=True)


def _exported(form: str, runs: Sequence[store.SingleRun], out: Path) -> Sequence[str]:
    """Write runs into a folder, which is not there afterwards if it was not before and nothing is written; notes."""
    from bnbench.exports import FORMS

    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        return FORMS[form](runs, out)
    except InvalidRequest:
        if is_new:
            out.rmdir()
        raise


def _check_free(out: Path) -> None:
    """Refuse a folder in which something is.

    Raises:
        InvalidRequest: naming it.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InvalidRequest([f"--out {out}: must be a new or empty folder"])
    except OSError as error:
        raise InvalidRequest([f"--out {out}: cannot be written: {error.strerror}"]) from error
