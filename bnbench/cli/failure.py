"""The end of a run without a result, and the command that trains it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from bnbench import store
from bnbench.cli.settings import Settings
from bnbench.paths import shown_path

TAIL, TAIL_BYTES = 12, 1 << 16
"""Lines of a log that are shown, and bytes at its end in which they are looked for."""


def failure(settings: Settings, run: store.SingleRun) -> Iterator[str]:
    """The end of a run's log, the end of the run, the place of the log, and the command that trains it again."""
    log, folder = run.log(), run.folder
    if log is not None and (tail := _tail(log)):
        yield from (f"  {line}" for line in tail)
        yield ""
    yield f"{run.status}: {run.row['error']}" if run.row.get("error") else run.status
    if log is not None:
        yield f"log: {shown_path(log.absolute())}"
    spec = folder / "specs" / f"{run.identity}.yaml"
    if spec.is_file():
        yield f"again: {again(settings, folder)(run.identity, bool(run.row.get('plugin')))}"


def _tail(log: Path) -> list[str]:
    """The last lines of a file."""
    with log.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
        return stream.read().decode(errors="replace").rstrip().splitlines()[-TAIL:]


def again(settings: Settings, folder: Path) -> Callable[[str, bool], str]:
    """The command that trains a run of a sweep again, by the run's id and whether it has code of a plugin."""
    words = ["bnbench", "run", "--name", folder.name, "--from"]
    options: list[str] = []
    if folder.parent.absolute() != Path("results").absolute() or "BNBENCH_RESULTS" in os.environ:
        options += ["--results", str(shown_path(folder.parent.absolute()))]
    if settings.data != Path("data"):
        options += ["--data", str(settings.data)]
    plugins = [entry.get("plugin") for entry in store.read_history(folder) if isinstance(entry, dict)]
    last = next((str(plugin) for plugin in reversed(plugins) if plugin), None)
    code = ["--plugin", str(shown_path(Path(last)))] if last else []
    specs = shown_path((folder / "specs").absolute())

    def command(run_id: str, plugged: bool) -> str:
        return shlex.join([*words, str(specs / f"{run_id}.yaml"), *options, *(code if plugged else [])])

    return command
