"""Versions of a component: what goes by one name in plugins whose sources differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bnbench.errors import InvalidRequest
from bnbench.paths import built_in
from bnbench.reports.wording import listing
from bnbench.text import plural

ADDABLE = ("norm", "model", "dataset")
"""Columns of the components that a plugin can add to."""
NOTHING = ("", "nan", "none", "null")
NEVER = "~"
"""Behind all times."""


@dataclass(frozen=True)
class Versions:
    """Runs with one source behind each name.

    Attributes:
        runs: those that are shown; where several versions of a component are, they are ``mine@1``, ``mine@2``.
        baseline: as it was typed, in these names.
        notes: which versions there are.
    """

    runs: pd.DataFrame
    baseline: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Component:
    """A component of plugins.

    Attributes:
        sources: hashes of the plugins by label: ``mine@1``, ``mine@2``.
        newest: one of the labels.
    """

    group: str
    name: str
    sources: dict[str, str]
    newest: str

    def named_in(self, word: str) -> str | None:
        """The version that a condition of a baseline names, ``norm=mine@1``."""
        return word.partition("=")[2] if re.fullmatch(rf"{self.group}={re.escape(self.name)}@\d+", word) else None

    def texts(self, words: Sequence[str], every: bool) -> dict[str, str]:
        """How the versions that are shown are written, by label."""
        asked = [*map(self.named_in, words), self.newest]
        shown = [label for label in self.sources if every or label in asked]
        return {label: label if len(shown) > 1 else self.name for label in shown}

    def problems(self, words: Sequence[str]) -> list[str]:
        """What a baseline names that there is not."""
        unknown = dict.fromkeys(word for word in words if self.named_in(word) not in (None, *self.sources))
        return [f"baseline {word!r}: there is no such version; there is {listing([*self.sources])}" for word in unknown]

    def note(self, texts: dict[str, str]) -> str:
        """Which versions there are, and which of them are shown."""
        marks = {label: ", shown" if label in texts else "" for label in self.sources}
        origins = {label: f"plugin {source[:8]}" if source else "built in" for label, source in self.sources.items()}
        told = listing([f"{label} ({origin}{marks[label]})" for label, origin in origins.items()])
        count = len(self.sources)
        return f"{self.group}={self.name} has {count} versions, as the source of its plugin differs: {told}."


def told_apart(runs: pd.DataFrame, baseline: str | None = None, every: bool = False) -> Versions:
    """Keep the newest version of each component, and those that the baseline names; or every one.

    Versions are numbered in the order in which they were first trained. The newest is that of the last run in the
    table; of several sweeps, in the one that was trained last.

    Raises:
        InvalidRequest: the baseline names a version that there is not.
    """
    if "plugin" not in runs.columns:
        return Versions(runs, baseline)
    runs = runs.reset_index(drop=True)
    renamed, kept, source = runs.copy(), pd.Series(True, index=runs.index), _text(runs["plugin"])
    words, notes, problems = (baseline or "").split(), [], []
    for component, here in _components(runs, source):
        texts = component.texts(words, every)
        for label, text in component.sources.items():
            rows = here & (source == text)
            kept &= ~rows | (label in texts)
            renamed.loc[rows, component.group] = texts.get(label, component.name)
        problems += component.problems(words)
        typed = {**texts, component.name: texts[component.newest]}
        typed = {f"{component.group}={label}": f"{component.group}={text}" for label, text in typed.items()}
        words = [typed.get(word, word) for word in words]
        notes += [component.note(texts)] if len(component.sources) > 1 else []
    if problems:
        raise InvalidRequest(problems)
    if not kept.all():
        left_out = plural(int((~kept).sum()), "run")
        notes.append(f"Versions that are not shown have {left_out}; --versions shows all of them side by side.")
    return Versions(renamed[kept], " ".join(words) if words else baseline, tuple(notes))


def _components(runs: pd.DataFrame, source: pd.Series[str]) -> Iterator[tuple[_Component, pd.Series[bool]]]:
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
            yield _Component(group, name, {label: text for text, label in labels.items()}, labels[newest]), here


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
