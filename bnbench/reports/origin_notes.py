"""Notes on where the runs of a report come from: versions of plugins, the data, and norms that are other norms."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis.coinciding import norm_settings
from bnbench.analysis.datasets import ChangedData, changed_data, without_fingerprint
from bnbench.analysis.searched import searched, stopped
from bnbench.analysis.versions import Component, Versions
from bnbench.coincidences import sentences
from bnbench.text import listing, plural


def origin_notes(versions: Versions) -> tuple[str, ...]:
    """All that is to be said of the runs that are shown, whatever the view."""
    runs = versions.runs
    coincidences = [f"{sentence}." for sentence in sentences(norm_settings(runs))]
    changes = map(_changed_note, changed_data(runs))
    return (*_search_notes(runs), *_version_notes(versions), *coincidences, *_fingerprint_notes(runs), *changes)


def _search_notes(runs: pd.DataFrame) -> list[str]:
    """A note on runs at points that a search chose: they are no fair sample of anything."""
    count, names = searched(runs)
    if not count:
        return []
    chosen = f"a search chose their {listing(names)}" if names else "a search chose them"
    why = "so differences and spreads over these are no statistics of a grid, and a best one was selected"
    notes = [f"{count} of {plural(len(runs), 'run')} are trials (column trial of runs.csv): {chosen}, {why}."]
    if early := stopped(runs):
        end = f"stopped at a rung of the search: {'it has' if early == 1 else 'they have'} no final result"
        notes.append(f"{plural(early, 'run')} {end}, and no table counts {'it' if early == 1 else 'them'}.")
    return notes


def _version_notes(versions: Versions) -> list[str]:
    notes = [_component_note(component, shown) for component, shown in versions.components]
    if versions.hidden:
        runs = plural(versions.hidden, "run")
        notes.append(f"Versions that are not shown have {runs}; --versions shows all of them side by side.")
    return notes


def _component_note(component: Component, shown: tuple[str, ...]) -> str:
    marks = {label: ", shown" if label in shown else "" for label in component.sources}
    origins = {label: f"plugin {source[:8]}" if source else "built in" for label, source in component.sources.items()}
    labels = listing([f"{label} ({origin}{marks[label]})" for label, origin in origins.items()])
    count = len(component.sources)
    return f"{component.group}={component.name} has {count} versions, as the source of its plugin differs: {labels}."


def _fingerprint_notes(runs: pd.DataFrame) -> list[str]:
    count = without_fingerprint(runs)
    reason = "by an earlier version: nothing says that they were trained on the same data"
    return [f"{plural(count, 'run')} without a fingerprint of the data, {reason}."] if count else []


def _changed_note(change: ChangedData) -> str:
    last = {change.newest: ", trained on last"}
    versions = [f"{data} (since {begun}{last.get(data, '')})" for data, begun in change.since.items()]
    return f"{change.place} has changed, and its runs are told apart by what it held: {listing(versions)}."
