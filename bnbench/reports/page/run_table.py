"""The runs behind a report as the page lists them, how they ended, and the settings that were tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnbench.analysis.factors import shown_factors, spec_columns
from bnbench.analysis.levels import DIGESTS, NAMES, Level, encode, level_text
from bnbench.reports.where import exact_text
from bnbench.reports.wording import percent
from bnbench.store.columns import RUN_TYPES
from bnbench.text import general

MOST_RUNS = 2000
"""More are not listed in a page: it would be slow to open."""
CHOICES = ("sweep", "norm", "model", "dataset", "batch_size", "status")
"""The columns that have a list of their values above the table."""
MOST_CHOICES, LONGEST_ERROR = 40, 400
TEXTS = (*NAMES, *(name for name, kind in RUN_TYPES.items() if kind == "str"))
"""Columns in which ``7`` and ``007`` are two values."""
DIGEST = 8
"""How many digits of a digest are shown."""
Command = Callable[[str, str, bool], str]
"""The command that trains a run again, by its sweep, its id, and whether it has code of a plugin."""
ACCURACIES = {"val_accuracy": "val %", "test_accuracy": "test %"}
OUTCOMES = {"diverged_step": "diverged at", "steps_done": "steps", "seconds": "seconds"}
UNFINISHED = ("running", "planned", "stopped", "failed", "out_of_memory", "timed_out", "impossible", "interrupted")


@dataclass(frozen=True)
class RunColumn:
    """A column of the list.

    Attributes:
        name: in runs.csv.
        title: as people read it.
        numeric: whether it holds numbers.
        texts: of the listed runs.
        values: the whole value, where the text is shorter.
    """

    name: str
    title: str
    numeric: bool
    texts: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class RunTable:
    """All that a page says of the runs.

    Attributes:
        identities: of the runs that are listed: at most MOST_RUNS; where not all are, those without a result are first.
        columns: what tells runs apart, how they ended, and the settings that follow from those that tell them apart.
        errors: of the listed runs; empty for those with a result.
        commands: train the listed runs again; empty where they are not known.
        total: how many runs there are.
        constants: the settings that all runs share, by column.
        tried: by factor, the values that were tried.
        choices: by column, the values that a reader can choose among.
        statuses: how many runs ended in which way.
        faults: texts of errors with how many runs had them, the most frequent first.
    """

    identities: tuple[str, ...]
    columns: tuple[RunColumn, ...]
    errors: tuple[str, ...]
    commands: tuple[str, ...]
    total: int
    constants: Mapping[str, str]
    tried: Mapping[str, tuple[str, ...]]
    choices: Mapping[str, tuple[str, ...]]
    statuses: Mapping[str, int]
    faults: Sequence[tuple[str, int]]


def run_table(runs: pd.DataFrame, command: Command | None) -> RunTable:
    """List runs, given a line per run with ``sweep``."""
    names = [*spec_columns(map(str, runs.columns)), *(["plugin"] if "plugin" in runs.columns else [])]
    encoded = {name: encode(runs[name]) for name in names}
    levels = {name: tuple(exact_text(name, level) for level in values) for name, (_, values) in encoded.items()}
    codes = pd.DataFrame({name: column for name, (column, _) in encoded.items()}, index=runs.index)
    shown, followers = shown_factors(codes, [name for name in names if name != "seed"])
    shown += [name for name in ("seed",) if len(levels.get(name, ())) > 1]
    places = _places(runs)
    listed = runs.iloc[places]
    settings = {name: _setting(name, encoded[name][1], codes[name].iloc[places]) for name in (*shown, *followers)}
    statuses = {str(status): int(count) for status, count in runs["status"].value_counts().items()}
    choices = {name: levels[name] for name in CHOICES if name in shown and len(levels[name]) <= MOST_CHOICES}
    return RunTable(
        identities=tuple(map(str, listed["run_id"])),
        columns=(
            *(settings[name] for name in shown),
            *_outcomes(listed),
            *(settings[name] for name in followers),
        ),
        errors=tuple(_error_texts(listed)),
        commands=_commands(listed, command),
        total=len(runs),
        constants={name: level for name in names if len(levels[name]) == 1 for level in levels[name]},
        tried={name: tuple(map(level_text, encoded[name][1])) for name in shown if name != "sweep"},
        choices=choices | ({"status": tuple(statuses)} if len(statuses) > 1 else {}),
        statuses=statuses,
        faults=_faults(runs),
    )


def _places(runs: pd.DataFrame) -> list[int]:
    """The lines of the runs that are listed: all, or those without a result and then the first ones."""
    order = np.argsort(~runs["status"].isin(UNFINISHED).to_numpy(), kind="stable")
    return list(range(len(runs))) if len(runs) <= MOST_RUNS else order[:MOST_RUNS].tolist()


def _setting(name: str, levels: Sequence[Level], codes: pd.Series[int]) -> RunColumn:
    numeric = all(level is None or type(level) in (int, float) for level in levels)
    most = DIGEST if name in DIGESTS else None
    texts = ["" if level is None else level_text(level)[:most] for level in levels]
    exact = ["" if level is None else exact_text(name, level) for level in levels]
    values = ["" if text == long else long for text, long in zip(texts, exact, strict=True)]
    return RunColumn(name, name, numeric, tuple(texts[code] for code in codes), tuple(values[code] for code in codes))


def _outcomes(runs: pd.DataFrame) -> Iterable[RunColumn]:
    statuses = tuple(str(status).replace("_", " ") for status in runs["status"])
    yield RunColumn("status", "status", False, statuses, ("",) * len(runs))
    for name, title in (ACCURACIES | OUTCOMES).items():
        if name in runs.columns and runs[name].notna().any():
            write = percent if name in ACCURACIES else _short
            numbers = pd.to_numeric(runs[name], errors="coerce").to_list()
            texts = tuple("" if np.isnan(number) else write(number) for number in numbers)
            values = tuple("" if np.isnan(number) else repr(number) for number in numbers)
            yield RunColumn(name, title, True, texts, values)


def _short(number: float) -> str:
    return general(number) if number == int(number) else f"{number:.3g}"


def _error_texts(runs: pd.DataFrame) -> list[str]:
    if "error" not in runs.columns:
        return [""] * len(runs)
    texts = [error if isinstance(error, str) else "" for error in runs["error"]]
    return [text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..." for text in texts]


def _faults(runs: pd.DataFrame) -> list[tuple[str, int]]:
    return Counter(text for text in _error_texts(runs) if text).most_common()


def _commands(runs: pd.DataFrame, command: Command | None) -> tuple[str, ...]:
    if command is None:
        return ()
    plugged = runs["plugin"].notna() if "plugin" in runs.columns else [False] * len(runs)
    places = zip(map(str, runs["sweep"]), map(str, runs["run_id"]), map(bool, plugged), strict=True)
    return tuple(command(*place) for place in places)
