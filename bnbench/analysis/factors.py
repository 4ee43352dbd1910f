"""The columns of a sweep that vary, and those of them that a table has to show.

Only ``seed`` is ever averaged over. Every other column that varies is shown, unless it follows from those that tell
rows apart. What follows from the columns of a table only, as the epochs from the batch size in two sweeps, makes rows
too: cells of a row differ in nothing else than what the columns say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.spec import RunSpec

COMPONENTS = ("dataset", "model", "optim", "schedule", "norm")
"""Columns that hold a chosen name, whose options are the dotted columns."""

ALWAYS_SHOWN = ("dataset", "model", "optim", "schedule", "batch_size", "norm")
"""Shown whenever they vary, even where one follows from another."""

FIELDS = tuple(field.name for field in fields(RunSpec))


def head(column: str) -> str:
    """The part of a dotted column before the dot: the component that an option belongs to."""
    return column.partition(".")[0]


def spec_columns(columns: Iterable[str]) -> list[str]:
    """The columns that define a run, the sweep among them, in the order in which tables show them.

    The norm comes last, so that norms under equal conditions stand together. The plugin is none of them: its versions
    are told by the names of what comes from it.
    """
    known = [name for name in columns if name == "sweep" or (head(name) in FIELDS and name != "plugin")]
    order = [
        "sweep",
        "dataset",
        "model",
        *[name for name in FIELDS if name not in COMPONENTS],
        "optim",
        "schedule",
        "norm",
    ]
    place = {name: index for index, name in enumerate(dict.fromkeys(order))}
    return sorted(known, key=lambda name: (place[head(name)], "." in name))


def varying(codes: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns with more than one level."""
    return [name for name in columns if len(codes) and codes[name].min() != codes[name].max()]


def shown_factors(
    codes: pd.DataFrame, columns: Sequence[str], aside: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Split the varying columns into those that rows must show and those that follow from the shown ones.

    Args:
        codes: one row per run, integer codes per column.
        columns: what may be shown: the spec columns without the seed and without what a table has on its columns.
        aside: what the table has on its columns, or tells for each cell. Only the name of a sweep may follow from it.
    """
    candidates = varying(codes, columns)
    shown = [name for name in candidates if name in ALWAYS_SHOWN]
    last = ("data", "sweep")  # shown only where nothing that a user has typed tells the same
    rest = sorted(
        (name for name in candidates if name not in shown),
        key=lambda name: (last.index(name) + 1 if name in last else 0, "." in name),
    )
    group = np.zeros(len(codes), dtype=np.int64)
    for name in shown:
        group = _refined(group, codes[name])
    for name in rest:
        if name == "sweep":  # a name, no setting of a run
            for other in aside:
                group = _refined(group, codes[other])
        finer = _refined(group, codes[name])
        if finer.max() > group.max():
            shown.append(name)
            group = finer
    return [name for name in columns if name in shown], [name for name in candidates if name not in shown]


def is_option(codes: pd.DataFrame, name: str) -> bool:
    """Say that a column is an option that follows from the chosen name alone, as ``norm.eps`` may from ``norm``."""
    owner = head(name)
    if owner == name or owner not in COMPONENTS or owner not in codes.columns:
        return False
    return bool(codes.groupby(owner)[name].nunique().max() == 1)


def _refined(group: NDArray[np.int64], codes: pd.Series[int]) -> NDArray[np.int64]:
    pairs = group * (int(codes.max()) + 1) + codes.to_numpy()
    return pd.factorize(pairs)[0].astype(np.int64)
