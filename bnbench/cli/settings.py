"""What the global options say, handed to every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bnbench.errors import InvalidRequest
from bnbench.paths import expanded

GRID, TRAINING = "Grid", "Training"
"""Panels of --help; what stands in none is on the first one."""


@dataclass(frozen=True)
class Settings:
    """The global options.

    Attributes:
        results: where sweeps are kept.
        data: where datasets are kept.
    """

    results: Path
    data: Path

    def sweep_folder(self, name: str) -> Path:
        """The folder of a sweep that is named, or given as a folder (``.``, ``./small``, ``elsewhere/small``).

        Raises:
            InvalidRequest: it is empty.
        """
        if not name:
            raise InvalidRequest(["sweep '': must be the name of a sweep, or its folder"])
        from bnbench.store import foreign, is_sweep

        given = Path(name)
        is_path = "/" in name or name in (".", "..")
        return given.resolve() if is_path and (is_sweep(given) or foreign(given)) else self.results / name


def path_of(option: str) -> Callable[[str | Path], Path]:
    """What reads the path that an option names.

    Raises:
        InvalidRequest: it is empty, as from a variable that is not set, or begins with ``~`` for a home there is not.
    """

    def read(given: str | Path) -> Path:
        if not str(given):
            raise InvalidRequest([f"{option} must name a folder or file, not ''; '.' is the current folder"])
        return expanded(given, option)

    return read


STANDARD_OUTPUT = Path("-")
"""What ``--out -`` says."""


def output_path(given: str | Path) -> Path:
    """Read the path of ``--out``, or :data:`STANDARD_OUTPUT`; a file called ``-`` is ``./-``.

    Raises:
        InvalidRequest: as :func:`path_of`.
    """
    path = path_of("--out")(given)
    return path.absolute() if path == STANDARD_OUTPUT and str(given) != "-" else path


def _completed(incomplete: str) -> list[str]:
    from bnbench.cli.completion import settings

    return settings(incomplete)


def completed_studies(incomplete: str) -> list[str]:
    """See :func:`bnbench.cli.completion.studies`."""
    from bnbench.cli.completion import studies

    return studies(incomplete)


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDES",
        autocompletion=_completed,
        help="Settings in Hydra's grammar: norm=group lr=0.1 model.depth=5; bnbench list settings shows all.",
    ),
]
Plugin = Annotated[
    Path | None,
    typer.Option(
        "--plugin",
        parser=path_of("--plugin"),
        metavar="FILE",
        help="A Python file with your own NORMS, MODELS or DATASETS.",
    ),
]
