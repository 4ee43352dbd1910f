"""Figures before anyone decides in which format they are drawn: panels, and the numbers that they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        name: tells it from the other panels of its figure, and is part of a file's name: ``mlp-digits``.
        title: what its runs have in common, as people read it; empty for the only panel of a figure.
        chart: a Vega-Lite description, with its data inside; colours of text, axes and grid are those of the theme.
        description: one sentence for those who cannot see it.
    """

    name: str
    title: str
    chart: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: panels that are read together, and the numbers that they draw.

    Attributes:
        name: tells it from the other figures of a report, and is part of a file's name: ``learning-curves``.
        title: a few words.
        caption: a sentence or two: the quantity with its unit, the band or bar, and n.
        panels: at least one.
        data: the numbers of all panels, tidy, a line per mark; a column ``panel``; units in the columns' names.
    """

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    data: pd.DataFrame
