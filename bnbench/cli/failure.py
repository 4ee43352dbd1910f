"""The end of a run without a result, and the command that trains it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bnbench import store
from bnbench.cli.display import shown_path
from bnbench.cli.settings import Settings


def failure(settings: Settings, folder: Path, run: pd.Series[Any]) -> Iterator[str]:
    """The end of a run, the place of its log, and the command that trains it again; a line each.

    Args:
        run: its row of runs.csv.
    """
    yield f"{run['status']}: {run['error']}" if isinstance(run["error"], str) else str(run["status"])
    log = folder / "logs" / f"{run['run_id']}.log"
    if log.is_file():
        yield f"log: {shown_path(log.absolute())}"
    spec = folder / "specs" / f"{run['run_id']}.yaml"
    if spec.is_file():
        yield f"again: {shlex.join(_command(settings, folder, spec, isinstance(run.get('plugin'), str)))}"


def _command(settings: Settings, folder: Path, spec: Path, plugged: bool) -> list[str]:
    """The words that train the run of a spec file again."""
    words = ["bnbench", "run", "--name", folder.name, "--from", str(shown_path(spec.absolute()))]
    if folder.parent.absolute() != Path("results").absolute():
        words += ["--results", str(settings.results)]
    if settings.data != Path("data"):
        words += ["--data", str(settings.data)]
    plugins = [entry.get("plugin") for entry in store.read_history(folder) if isinstance(entry, dict)]
    last = next((str(plugin) for plugin in reversed(plugins) if plugin), None)
    return [*words, "--plugin", str(shown_path(Path(last)))] if plugged and last else words
