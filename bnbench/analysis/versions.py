"""Versions of a component: sources that go by one name, in plugins that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bnbench.errors import InvalidRequest
from bnbench.paths import built_in
from bnbench.text import listing

ADDABLE = ("norm", "model", "dataset")
"""Columns of the components that a plugin can add to."""
NOTHING = ("", "nan", "none", "null")
NEVER = "~"
"""Behind all times."""


@dataclass(frozen=True, slots=True)
class Component:
    """A component of plugins, by all the sources that go by its name.

    Attributes:
        group: its column: ``norm``.
        sources: hashes of the plugins by label, ``mine@1``, ``mine@2``; empty for a built-in one.
        newest: one of the labels.
    """

    group: str
    name: str
    sources: dict[str, str]
    newest: str


@dataclass(frozen=True, slots=True)
class Versions:
    """Runs with one source behind each name.

    Attributes:
        runs: those that are shown; where several versions of a component are, they are ``mine@1``, ``mine@2``.
        baseline: as it was typed, in these names.
        components: those with several versions, with the labels of the versions that are shown.
        hidden: runs that are not shown.
    """

    runs: pd.DataFrame
    baseline: str | None = None
    components: tuple[tuple[Component, tuple[str, ...]], ...] = ()
    hidden: int = 0


def select_versions(runs: pd.DataFrame, baseline: str | None = None, every: bool = False) -> Versions:
    """Keep the newest version of each component, and those that the baseline names; or every one.

    Versions are numbered in the order in which they were first trained. The newest is that of the last run in the
    table; of several sweeps, in the one that was trained last.

    Raises:
        InvalidRequest: the baseline names a version that there is not.
    """
    if "plugin" not in runs.columns:
        return Versions(runs, baseline)
    runs = runs.reset_index(drop=True)
    renamed, shown, source = runs.copy(), pd.Series(True, index=runs.index), _text(runs["plugin"])
    words, several, problems = (baseline or "").split(), [], []
    for component, here in _components(runs, source):
        names = _names(component, words, every)
        for label, text in component.sources.items():
            rows = here & (source == text)
            shown &= ~rows | (label in names)
            renamed.loc[rows, component.group] = names.get(label, component.name)
        problems += _problems(component, words)
        typed = {**names, component.name: names[component.newest]}
        typed = {f"{component.group}={label}": f"{component.group}={name}" for label, name in typed.items()}
        words = [typed.get(word, word) for word in words]
        several += [(component, tuple(names))] if len(component.sources) > 1 else []
    if problems:
        raise InvalidRequest(problems)
    return Versions(renamed[shown], " ".join(words) if words else baseline, tuple(several), int((~shown).sum()))


def _label(component: Component, word: str) -> str | None:
    """The version that a condition of a baseline names, ``norm=mine@1``."""
    pattern = rf"{component.group}={re.escape(component.name)}@\d+"
    return word.partition("=")[2] if re.fullmatch(pattern, word) else None


def _names(component: Component, words: Sequence[str], every: bool) -> dict[str, str]:
    """The names of the versions that are shown, by label."""
    named = [*(_label(component, word) for word in words), component.newest]
    shown = [label for label in component.sources if every or label in named]
    return {label: label if len(shown) > 1 else component.name for label in shown}


def _problems(component: Component, words: Sequence[str]) -> list[str]:
    """Complaints about versions that a baseline names and that there are not."""
    labels = component.sources
    unknown = dict.fromkeys(word for word in words if _label(component, word) not in (None, *labels))
    return [f"baseline {word!r}: there is no such version; there is {listing([*labels])}" for word in unknown]


def _components(runs: pd.DataFrame, source: pd.Series[str]) -> Iterator[tuple[Component, pd.Series[bool]]]:
    """The components that come from plugins, and the runs with each; the norm, where all names are built-in ones."""
    groups = [group for group in ADDABLE if group in runs.columns]
    added = {group: (source != "") & ~runs[group].isin(built_in(group)) for group in groups}
    if "norm" in added:
        added["norm"] |= (source != "") & ~pd.concat(added, axis=1).any(axis=1)
    for group, mask in added.items():
        for name in sorted(runs.loc[mask, group].astype(str).unique()):
            here = (runs[group] == name) & (mask | (source == ""))  # a plugin's name may have become a built-in one
            sources, newest = _numbered(runs[here], source[here])
            labels = {text: f"{name}@{number}" for number, text in enumerate(sources, 1)}
            yield Component(group, name, {label: text for text, label in labels.items()}, labels[newest]), here


def _numbered(runs: pd.DataFrame, source: pd.Series[str]) -> tuple[list[str], str]:
    """The sources of one component in the order in which they were first trained, and the newest of them."""
    started = _text(runs["started_at"]) if "started_at" in runs.columns else pd.Series("", index=runs.index)
    first = started.mask(started == "", NEVER).groupby(source, sort=False).min().sort_values(kind="stable")
    sweep = runs["sweep"] if "sweep" in runs.columns else pd.Series(0, index=runs.index)
    by_sweep = np.argsort(started.groupby(sweep).transform("max").to_numpy(), kind="stable")
    return [*map(str, first.index)], str(source.iloc[by_sweep[-1]])


def _text(column: pd.Series[Any]) -> pd.Series[str]:
    """A column as texts, an empty one for nothing, however that is written."""
    texts = column.astype(object).where(column.notna(), "").astype(str)
    return texts.mask(texts.str.lower().isin(NOTHING), "")
