"""The baseline: what the user wrote, and the row that each row is compared with."""

from __future__ import annotations

import shlex
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.analysis.factors import COMPONENTS, head, varying
from bnbench.analysis.levels import Level, level_text, same, typed
from bnbench.analysis.rows import Rows
from bnbench.analysis.trials import read_trials
from bnbench.errors import InvalidRequest, nearest
from bnbench.text import listing

Baseline = Mapping[str, Level]
Key = Mapping[Hashable, int]
"""The codes of a row's spec columns."""


def parse_baseline(text: str | None, runs: pd.DataFrame) -> dict[str, Level]:
    """Read ``norm=none`` or several such conditions separated by blanks.

    Raises:
        InvalidRequest: a part is not ``factor=value``, or names a factor or value that the runs do not have, or all
            runs meet the conditions, so that none is left to compare.
    """
    if text is None:
        return {}
    if not text.strip():
        raise InvalidRequest(["baseline '': must be factor=value, for example norm=none"])
    if runs.empty:
        return {}
    trials = read_trials(runs)
    varied = varying(trials.frame, trials.columns)
    names = varied or trials.columns
    conditions: dict[str, Level] = {}
    problems: list[str] = []
    for part in _parts(text):
        name, equals, written = part.partition("=")
        if not (name and equals and written):
            problems.append(f"baseline {part!r}: must be factor=value, for example norm=none")
        elif name not in trials.levels:
            problems.append(f"baseline {part!r}: {name!r} is not a factor of these runs; {nearest(name, names)}")
        elif not any(same(level, typed(name, written)) for level in trials.levels[name]):
            allowed = [level_text(level) for level in trials.levels[name] if level is not None]
            problems.append(f"baseline {part!r}: no run has {part}; {nearest(written, allowed)}")
        elif conditions.get(name, typed(name, written)) != typed(name, written):
            problems.append(f"baseline {text!r}: {name} is named more than once; a baseline has one value of it")
        else:
            conditions[name] = typed(name, written)
    if not problems and all(len(trials.levels[name]) == 1 for name in conditions):
        factors = [name for name in varied if name == head(name) or head(name) not in varied]
        vary = f"what varies is {', '.join(factors)}" if factors else "these runs do not vary at all"
        problems.append(f"baseline {text!r}: every run has it, so there is nothing to compare; {vary}")
    if problems:
        raise InvalidRequest(problems)
    return conditions


def _parts(text: str) -> list[str]:
    """The conditions; a value with blanks is in quotes."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidRequest([f"baseline {text!r}: {str(error).lower()}"]) from error


def baseline_text(baseline: Baseline) -> str:
    """The baseline as a user would type it."""
    return shlex.join(f"{name}={level_text(level)}" for name, level in baseline.items())


def is_comparable(rows: Rows, baseline: Baseline) -> bool:
    """Say that the baseline tells rows apart; not so for what a table has on its columns or chooses within a row."""
    groups = rows.trials.frame.groupby("row")
    return bool(baseline) and all(int(groups[name].nunique().max()) == 1 for name in baseline)


def compared_rows(rows: Rows, baseline: Baseline) -> dict[int, int]:
    """As :func:`baseline_rows`; nothing where the baseline does not tell rows apart.

    Raises:
        InvalidRequest: several rows with equal other settings match the baseline.
    """
    return baseline_rows(rows, baseline) if is_comparable(rows, baseline) else {}


def baseline_rows(rows: Rows, baseline: Baseline) -> dict[int, int]:
    """The row that each row is compared with: the baseline at equal other settings; absent if there is none.

    Another component may have other options; within one component, options that the baseline does not name are equal.

    Raises:
        InvalidRequest: several rows with equal other settings match the baseline.
    """
    equal, options = _settings(rows, baseline)
    place = rows.keys.groupby(equal).ngroup() if equal else pd.Series(0, index=rows.keys.index)
    matches = _matches(rows, baseline)
    places = place[matches]
    if places.duplicated().any():
        _refuse(rows, baseline, matches, equal)
    row_of_place = dict(zip(places.tolist(), places.index.tolist(), strict=True))
    every = zip(place.index.tolist(), place.tolist(), strict=True)
    pairs = {row: row_of_place[at] for row, at in every if at in row_of_place}
    keys = rows.keys.to_dict("index")
    return {row: other for row, other in pairs.items() if not _unequal_options(keys[row], keys[other], options)}


def unmatched_settings(rows: Rows, baseline: Baseline, compared: Mapping[int, int]) -> list[str]:
    """The settings in which rows that are compared with nothing differ from the nearest row of the baseline."""
    alone = [row for row in rows.keys.index if row not in compared]
    if not compared or not alone:
        return []
    equal, options = _settings(rows, baseline)
    keys = rows.keys.to_dict("index")
    baselines = [keys[row] for row in rows.keys.index[_matches(rows, baseline)]]
    names: set[str] = set()
    for row in alone:
        unequal = [_unequal(keys[row], other, equal, options) for other in baselines]
        fewest: list[str] = min(unequal, key=len)
        names.update(fewest)
    return [name for name in (*equal, *options) if name in names]


def _matches(rows: Rows, baseline: Baseline) -> NDArray[np.bool_]:
    """The rows that the baseline names."""
    matches = np.ones(len(rows.keys), dtype=bool)
    for name, level in baseline.items():
        code = next(code for code, other in enumerate(rows.trials.levels[name]) if same(level, other))
        matches &= (rows.keys[name] == code).to_numpy()
    return matches


def _settings(rows: Rows, baseline: Baseline) -> tuple[list[str], list[str]]:
    """Names that must be equal to be compared: settings of any two rows, and options of two that have their component.

    What the baseline names may differ, with a dataset what its files hold, and with a component its options. A sweep's
    name is no setting where the settings tell the same.
    """
    heads = {head(name) for name in baseline}
    owners = heads & {*COMPONENTS}
    free = {*baseline, *owners, *(() if "sweep" in rows.factors else ("sweep",))}
    free |= {"data", "dataset.path"} if heads & {"dataset", "data"} else set()
    names = [name for name in (*rows.factors, *rows.follows) if name not in free]
    return [name for name in names if head(name) not in owners], [name for name in names if head(name) in owners]


def _unequal(key: Key, other: Key, equal: Sequence[str], options: Sequence[str]) -> list[str]:
    """The names in which two rows are not as they must be to be compared; see :func:`_settings`."""
    return [*(name for name in equal if key[name] != other[name]), *_unequal_options(key, other, options)]


def _unequal_options(key: Key, other: Key, options: Sequence[str]) -> list[str]:
    """The options of a component that two rows have in common in which they differ."""
    return [name for name in options if key[head(name)] == other[head(name)] and key[name] != other[name]]


def _refuse(rows: Rows, baseline: Baseline, matches: NDArray[np.bool_], equal: list[str]) -> None:
    inside = varying(rows.keys[matches], [name for name in rows.factors if name not in equal])
    options = []
    for name in inside:
        levels = [level_text(rows.trials.levels[name][code]) for code in sorted(rows.keys[matches][name].unique())]
        options.append(f"{name}= one of {', '.join(levels)}")
    raise InvalidRequest([f"baseline {baseline_text(baseline)!r}: matches several rows; add {listing(options)}"])
