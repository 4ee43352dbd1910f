"""The end of a run without a result, and the command that trains it again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bnbench import store
from bnbench.cli.settings import Settings
from bnbench.paths import shown_path


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
        yield f"again: {again(settings, folder)(str(run['run_id']), isinstance(run.get('plugin'), str))}"


def again(settings: Settings, folder: Path) -> Callable[[str, bool], str]:
    """The command that trains a run of a sweep again, by the run's id and whether it has code of a plugin."""
    words = ["bnbench", "run", "--name", folder.name, "--from"]
    options: list[str] = []
    if folder.parent.absolute() != Path("results").absolute():
        options += ["--results", str(settings.results)]
    if settings.data != Path("data"):
        options += ["--data", str(settings.data)]
    plugins = [entry.get("plugin") for entry in store.read_history(folder) if isinstance(entry, dict)]
    last = next((str(plugin) for plugin in reversed(plugins) if plugin), None)
    code = ["--plugin", str(shown_path(Path(last)))] if last else []
    specs = shown_path((folder / "specs").absolute())

    def command(run_id: str, plugged: bool) -> str:
        return shlex.join([*words, str(specs / f"{run_id}.yaml"), *options, *(code if plugged else [])])

    return command
