"""A figure from a table of numbers: one panel per place, with the lines of the table that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bnbench.figures.charts import Spec
from bnbench.figures.figure import Figure, Panel
from bnbench.figures.places import MOST_PANELS, Place
from bnbench.text import listing

Draw = Callable[[Place, pd.DataFrame, pd.DataFrame], Spec]
"""Makes a drawing of a place from the lines of its members and those of the rows behind; ``s`` names a series."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The words of a figure.

    Attributes:
        name: part of a file's name.
        title: a few words.
        caption: a sentence or two.
        shows: what is drawn, for those who cannot see it: ``validation accuracy by training step``.
        columns: the columns of the data behind ``panel`` and ``series``, and the names that they get.
    """

    name: str
    title: str
    caption: str
    shows: str
    columns: Mapping[str, str]


def assembled(sheet: Sheet, frame: pd.DataFrame, places: Sequence[Place], draw: Draw) -> Figure:
    """Draw each place.

    Args:
        sheet: the words.
        frame: the numbers, with ``row``.
        places: at least one; beyond ``MOST_PANELS`` only their numbers are in the figure.
        draw: makes one drawing.
    """
    parts = [placed(frame, place) for place in places]
    drawn = list(zip(places, parts, strict=True))[:MOST_PANELS]
    panels = tuple(
        Panel(place.name, place.title, draw(place, part, behind(frame, place)), described(sheet.shows, place))
        for place, part in drawn
    )
    more = f" {MOST_PANELS} of {len(places)} panels are drawn; the data has all." if len(places) > MOST_PANELS else ""
    data = pd.concat(parts, ignore_index=True).rename(columns={"s": "series"})
    data = data[["panel", "series", *sheet.columns]].rename(columns=dict(sheet.columns))
    return Figure(sheet.name, sheet.title, sheet.caption + more, panels, data)


def placed(frame: pd.DataFrame, place: Place) -> pd.DataFrame:
    """The lines of a place's members, with their label ``s`` and the ``panel``."""
    names = {member.row: member.label for member in place.members}
    lines = _part(frame, place)
    lines = lines[lines["row"].isin(list(names))]
    return lines.assign(s=lines["row"].map(names), panel=place.name)


def behind(frame: pd.DataFrame, place: Place) -> pd.DataFrame:
    """The lines of the rows behind those of a place; ``s`` tells them apart."""
    lines = _part(frame, place)
    lines = lines[lines["row"].isin(place.others)]
    return lines.assign(s=lines["row"])


def _part(frame: pd.DataFrame, place: Place) -> pd.DataFrame:
    return frame[frame["part"] == place.part] if place.part else frame


def described(shows: str, place: Place) -> str:
    """A sentence for those who cannot see a panel."""
    where = f" ({place.title})" if place.title else ""
    return f"{shows[:1].upper()}{shows[1:]} of {listing([member.label for member in place.members])}{where}."


def seeds(counts: pd.Series[int]) -> str:
    """The number of seeds behind the marks of a figure: ``n = 3 seeds``, ``n = 1 to 3 seeds``."""
    low, high = int(counts.min()), int(counts.max())
    return f"n = {high} {'seed' if high == 1 else 'seeds'}" if low == high else f"n = {low} to {high} seeds"
