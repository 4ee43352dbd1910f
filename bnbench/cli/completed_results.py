"""Completion of what is in the results folder: sweeps, runs, and the settings in which runs differ; without pandas."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bnbench import store
from bnbench.cli.commands import hoist_global_options
from bnbench.cli.completion import typed_words
from bnbench.cli.settings import Settings
from bnbench.errors import BnbenchError
from bnbench.filters import varying

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
    return [folder.name for folder in _folders(settings.results) if folder.name.startswith(incomplete)]


def runs(settings: Settings, incomplete: str) -> list[str]:
    """The ids of runs, in all sweeps, that a text may become."""
    identities = {identity for folder in _folders(settings.results) for identity in _rows(folder)}
    return sorted(identity for identity in identities if identity.startswith(incomplete))


def baselines(settings: Settings, incomplete: str) -> list[str]:
    """The settings with which rows of the sweeps that are typed can be compared; of all sweeps if none is.

    As with the settings of a run, keys are offered first, then the values of one key.
    """
    places = [settings.sweep_folder(word) for word in typed_words() if word]
    folders = [place for place in places if store.is_sweep(place)] or _folders(settings.results)
    values = varying([row for folder in folders for row in _rows(folder).values()], APART)
    key, equals, text = incomplete.partition("=")
    keys = [key] if equals else [name for name in values if name.startswith(key)]
    if len(keys) != 1:
        return [f"{name}=" for name in keys]
    return [f"{keys[0]}={value}" for value in values.get(keys[0], ()) if value.startswith(text)]


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
