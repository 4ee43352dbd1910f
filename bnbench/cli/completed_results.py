"""Completion of what is in the results folder: sweeps, runs, and the settings in which runs differ; without pandas."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bnbench import store
from bnbench.cli.commands import hoist_global_options
from bnbench.cli.completion import typed_words
from bnbench.cli.settings import Settings
from bnbench.errors import BnbenchError
from bnbench.filters import varying

WORD = re.compile(r"\w[\w.,:+/@%=-]*")
"""Words that need no quotes in any shell."""
APART = ("seed", "plugin", "data")
"""Parts of a run's identity that are no baseline."""


def typed_settings() -> Settings:
    """The global options of words that are still being typed, whose command has not begun."""
    words = iter(hoist_global_options(typed_words()))
    results = os.environ.get("BNBENCH_RESULTS") or "results"
    for word in words:
        if word == "--results":
            results = next(words, results)
        elif word.startswith("--results="):
            results = word.partition("=")[2]
    return Settings(Path(results).expanduser(), Path())


def sweeps(settings: Settings, incomplete: str) -> list[str]:
    """The names of sweeps that a text may become."""
    return _offered([folder.name for folder in _folders(settings.results)], incomplete)


def runs(settings: Settings, incomplete: str) -> list[str]:
    """The ids of runs, in all sweeps, that a text may become."""
    identities = {identity for folder in _folders(settings.results) for identity in _rows(folder)}
    return _offered(sorted(identities), incomplete)


def trash(settings: Settings, incomplete: str) -> list[str]:
    """The names in the trash that a text may become."""
    try:
        return _offered([place.name for place in store.trashed(settings.results)], incomplete)
    except OSError:
        return []


def baselines(settings: Settings, incomplete: str) -> list[str]:
    """The settings with which rows of the sweeps that are typed can be compared; of all sweeps if none is.

    As with the settings of a run, keys are offered first, then the values of one key.
    """
    folders = _typed_sweeps(settings)
    return _choices(varying([row for folder in folders for row in _rows(folder).values()], APART), incomplete)


def conditions(settings: Settings, incomplete: str) -> list[str]:
    """The conditions of ``bnbench ls`` on settings that vary, how runs ended, and tags, offered as baselines are."""
    folders = _typed_sweeps(settings)
    rows = [row for folder in folders for row in _rows(folder).values()]
    statuses = list(dict.fromkeys(row["status"] for row in rows))
    return _choices({**varying(rows), "status": statuses, "tag": _tags(folders)}, incomplete)


def tags(settings: Settings, incomplete: str) -> list[str]:
    """The tags of all sweeps that a text may become."""
    return _offered(_tags(_folders(settings.results)), incomplete)


def _offered(words: Iterable[str], incomplete: str) -> list[str]:
    """The words that a text may become, without those that a shell would read as more than a word.

    Names of folders and cells of tables may be anybody's, and bash puts what is offered into the line as it is.
    """
    return [word for word in words if word.startswith(incomplete) and WORD.fullmatch(word)]


def _choices(values: Mapping[str, Sequence[str]], incomplete: str) -> list[str]:
    """The keys that a text may become, or one key with its values."""
    key, equals, text = incomplete.partition("=")
    keys = [key] if equals else [name for name in values if name.startswith(key)]
    if len(keys) != 1:
        return _offered([f"{name}=" for name in keys], key)
    return _offered([f"{keys[0]}={value}" for value in values.get(keys[0], ())], f"{keys[0]}={text}")


def _typed_sweeps(settings: Settings) -> list[Path]:
    """The sweeps that are typed; all if none is."""
    places = [settings.sweep_folder(word) for word in typed_words() if word]
    return [place for place in places if store.is_sweep(place)] or _folders(settings.results)


def _tags(folders: Iterable[Path]) -> list[str]:
    """The tags of some sweeps, those that can be read, by name."""
    there: set[str] = set()
    for folder in folders:
        with suppress(BnbenchError, OSError):
            there.update(*store.read_tags(folder).values())
    return sorted(there)


def _folders(results: Path) -> list[Path]:
    try:
        return store.sweep_folders(results)
    except OSError:
        return []


def _rows(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """The rows of a sweep by run_id; none of one that cannot be read, which the command itself will say."""
    try:
        return store.checked_rows(folder)
    except (BnbenchError, OSError):
        return {}
