"""What the global options say, handed to every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


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
        """The folder of a sweep that is named, or given as a folder."""
        given = Path(name)
        return given if len(given.parts) > 1 and (given / "runs.csv").is_file() else self.results / name


Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OVERRIDES]...", help="Settings in Hydra's grammar: norm=group lr=0.1 model.depth=5"),
]
Plugin = Annotated[
    Path | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file with your own NORMS, MODELS or DATASETS."),
]
