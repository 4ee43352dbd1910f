"""The baseline: what the user wrote, and the row that each row is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.factors import head, varying
from bnbench.reports.levels import Level, level_text, same, typed
from bnbench.reports.rows import Rows
from bnbench.reports.trials import read_trials
from bnbench.wording import listing

Baseline = Mapping[str, Level]


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
    wanted: dict[str, Level] = {}
    problems: list[str] = []
    for part in text.split():
        name, equals, written = part.partition("=")
        if not (name and equals and written):
            problems.append(f"baseline {part!r}: must be factor=value, for example norm=none")
        elif name not in trials.levels:
            problems.append(f"baseline {part!r}: {name!r} is not a factor of these runs; {nearest(name, names)}")
        elif not any(same(level, typed(name, written)) for level in trials.levels[name]):
            allowed = [level_text(level) for level in trials.levels[name] if level is not None]
            problems.append(f"baseline {part!r}: no run has {part}; {nearest(written, allowed)}")
        else:
            wanted[name] = typed(name, written)
    if not problems and all(len(trials.levels[name]) == 1 for name in wanted):
        factors = [name for name in varied if name == head(name) or head(name) not in varied]
        vary = f"what varies is {', '.join(factors)}" if factors else "these runs do not vary at all"
        problems.append(f"baseline {text!r}: every run has it, so there is nothing to compare; {vary}")
    if problems:
        raise InvalidRequest(problems)
    return wanted


def baseline_text(baseline: Baseline) -> str:
    """The baseline as a user would type it."""
    return " ".join(f"{name}={level_text(level)}" for name, level in baseline.items())


def is_comparable(rows: Rows, baseline: Baseline) -> bool:
    """Whether the baseline tells rows apart; not so for what a table has on its columns or chooses within a row."""
    groups = rows.trials.frame.groupby("row")
    return bool(baseline) and all(int(groups[name].nunique().max()) == 1 for name in baseline)


def incomparable(baseline: Baseline) -> str:
    """Say why there is no comparison."""
    return f"No comparison with {baseline_text(baseline)}: in this view it does not tell one row from another."


def baseline_rows(rows: Rows, baseline: Baseline) -> dict[int, int]:
    """The row that each row is compared with: the baseline at equal other factors; absent if there is none.

    Raises:
        InvalidRequest: several rows with equal other factors match the baseline.
    """
    heads = {head(name) for name in baseline}
    context = [name for name in rows.factors if head(name) not in heads]
    place = rows.keys.groupby(context).ngroup() if context else pd.Series(0, index=rows.keys.index)
    matches = np.ones(len(rows.keys), dtype=bool)
    for name, level in baseline.items():
        code = next(code for code, other in enumerate(rows.trials.levels[name]) if same(level, other))
        matches &= (rows.keys[name] == code).to_numpy()
    chosen = place[matches]
    if chosen.duplicated().any():
        _refuse(rows, baseline, matches, heads)
    row_of_place = dict(zip(chosen.tolist(), chosen.index.tolist(), strict=True))
    every = zip(place.index.tolist(), place.tolist(), strict=True)
    return {row: row_of_place[at] for row, at in every if at in row_of_place}


def _refuse(rows: Rows, baseline: Baseline, matches: NDArray[np.bool_], heads: set[str]) -> None:
    inside = varying(rows.keys[matches], [name for name in rows.factors if head(name) in heads])
    options = []
    for name in inside:
        levels = [level_text(rows.trials.levels[name][code]) for code in sorted(rows.keys[matches][name].unique())]
        options.append(f"{name}= one of {', '.join(levels)}")
    raise InvalidRequest([f"baseline {baseline_text(baseline)!r}: matches several rows; add {listing(options)}"])
