"""The rows of a table: one per combination of the factors that it does not have on its columns."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bnbench.analysis.factors import COMPONENTS, head, is_option, shown_factors
from bnbench.analysis.levels import Level, level_text, level_texts
from bnbench.analysis.trials import Trials


@dataclass(frozen=True, slots=True)
class Rows:
    """Runs sorted into rows.

    Attributes:
        trials: the runs; ``trials.frame`` has a column ``row``.
        factors: the spec columns that tell rows apart.
        follows: spec columns that vary as well, but follow from ``factors`` and the columns set aside.
        keys: one line per row, indexed by ``row``: the codes of its spec columns (those of its first run).
    """

    trials: Trials
    factors: tuple[str, ...]
    follows: tuple[str, ...]
    keys: pd.DataFrame


def sort_into_rows(trials: Trials, aside: Collection[str]) -> Rows:
    """Give every run its row; the seed and the columns in ``aside`` do not make rows."""
    columns = [name for name in trials.columns if name != "seed" and name not in aside]
    factors, follows = shown_factors(trials.frame, columns, aside)
    number = trials.frame.groupby(factors).ngroup() if factors else pd.Series(0, index=trials.frame.index)
    frame = trials.frame.assign(row=number)
    keys = frame.drop_duplicates("row").set_index("row").sort_index()[[*trials.columns, "chance"]]
    return Rows(Trials(frame, trials.levels), tuple(factors), tuple(follows), keys)


def heads(rows: Rows, without: Collection[str] = ()) -> list[str]:
    """The columns that name a row: a component stands for itself and all of its options."""
    components = [name for name in COMPONENTS if name in rows.keys.columns]
    names = [head(name) if head(name) in components else name for name in rows.factors]
    return [name for name in dict.fromkeys(names) if name not in without]


def labels(rows: Rows, without: Collection[str] = ()) -> dict[int, tuple[str, ...]]:
    """The words that name each row, one for each of the :func:`heads`, for example ``group groups=4``."""
    columns = [_label_column(rows, name) for name in heads(rows, without)] or [["all"] * len(rows.keys)]
    return dict(zip(rows.keys.index.tolist(), zip(*columns, strict=True), strict=True))


def _label_column(rows: Rows, name: str) -> list[str]:
    written = _texts(name, rows.trials.levels[name])
    texts = [written[code] for code in rows.keys[name]]
    for option in (factor for factor in rows.factors if head(factor) == name and factor != name):
        # An option is told only where it varies under the same name: "batch", but "group groups=4".
        inside = rows.keys.groupby(name)[option].transform("nunique") > 1
        levels = [rows.trials.levels[option][code] for code in rows.keys[option]]
        parts = [f" {option.partition('.')[2]}={level_text(level)}" for level in levels]
        texts = [text + part if told else text for text, part, told in zip(texts, parts, inside, strict=True)]
    return texts


def _texts(name: str, levels: Sequence[Level]) -> list[str]:
    if name == "lr":
        return level_texts(levels)
    return [level_text(level) for level in levels]


def section_starts(names: Sequence[tuple[str, ...]]) -> tuple[int, ...]:
    """Positions of rows at which a new group begins: every label but the last is equal within a group."""
    contexts = [words[:-1] for words in names]
    starts = tuple(index for index in range(1, len(contexts)) if contexts[index] != contexts[index - 1])
    return starts if 2 * len(starts) < len(contexts) else ()


def followers(rows: Rows) -> list[str]:
    """The columns that vary along with what is shown, except options that come with a chosen name."""
    told = {name for name in rows.follows if is_option(rows.trials.frame, name)} | {"data", "sweep"}
    return [name for name in rows.follows if name not in told]


def deciding(rows: Rows, follower: str) -> Mapping[Level, list[tuple[tuple[str, Level], ...]]]:
    """The places of each level of a column that follows from the factors, the level with most places last.

    A place is a level of each of the fewest factors that decide the column, those without an option first.
    """
    plain_first = sorted(rows.factors, key=lambda name: "." in name)
    subsets = (names for size in (1, 2, len(plain_first)) for names in itertools.combinations(plain_first, size))
    names = next(list(names) for names in subsets if _decide(rows.keys, names, follower))
    places: dict[Level, list[tuple[tuple[str, Level], ...]]] = {}
    for key in rows.keys.drop_duplicates(names).sort_values([follower, *names]).to_dict("records"):
        place = tuple((name, rows.trials.levels[name][key[name]]) for name in names)
        places.setdefault(rows.trials.levels[follower][key[follower]], []).append(place)
    return dict(sorted(places.items(), key=lambda entry: len(entry[1])))


def _decide(keys: pd.DataFrame, names: Sequence[str], follower: str) -> bool:
    return len(keys.drop_duplicates([*names])) == len(keys.drop_duplicates([*names, follower]))
