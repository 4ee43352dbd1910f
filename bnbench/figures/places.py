"""The panels of a figure of rows, and the series in each of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bnbench.analysis import Rows
from bnbench.analysis.levels import level_text
from bnbench.analysis.rows import heads, labels
from bnbench.figures.palette import Style, norm_styles, plain_styles
from bnbench.text import harmless

MOST_SERIES = 12
"""Lines of a panel; more norms are drawn family by family."""
MOST_PANELS = 24
LONGEST_LABEL, LONGEST_NAME = 32, 60


@dataclass(frozen=True, slots=True)
class Member:
    """A series of a panel.

    Attributes:
        row: its number in ``Rows``.
        label: its words, harmless and short.
    """

    row: int
    label: str
    style: Style


@dataclass(frozen=True, slots=True)
class Place:
    """What a panel shows.

    Attributes:
        name: lower-case letters, digits and dashes.
        title: what its rows have in common; empty for the only panel.
        members: at most ``MOST_SERIES``.
        others: further rows of the same place, which are drawn faintly behind.
        part: the lines of a table that it shows, where the rows have several sets of lines, by its column ``part``.
    """

    name: str
    title: str
    members: tuple[Member, ...]
    others: tuple[int, ...] = ()
    part: str = ""


def places_of(rows: Rows, shown: Collection[int], without: Collection[str] = ()) -> list[Place]:
    """One panel for each combination of what the rows differ in but the last, which tells the series of a panel.

    Args:
        rows: all of them, so that a series looks the same whichever are shown.
        shown: the rows that are drawn.
        without: columns that the figure tells in another way.
    """
    names = [name.replace("batch_size", "batch") for name in heads(rows, without)]
    words = labels(rows, without)
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in words:
        groups.setdefault(words[row][:-1], []).append(row)
    if len(groups) > 1 and all(len(group) == 1 for group in groups.values()):
        groups, words = {(): list(words)}, {row: (" ".join(texts),) for row, texts in words.items()}
    styles = _styles(rows, {row: texts[-1] for row, texts in words.items()}, names[-1:] == ["norm"])
    places: list[Place] = []
    for context, group in groups.items():
        title = ", ".join(f"{name} {short(word)}" for name, word in zip(names, context, strict=False))
        drawn = [row for row in group if row in shown]
        texts = distinct([short(words[row][-1]) for row in drawn])
        members = [Member(row, text, styles[row]) for row, text in zip(drawn, texts, strict=True)]
        places += _parts(title, members)
    return with_names(places)


def places_by_part(rows: Rows, frame: pd.DataFrame, titles: Mapping[str, str]) -> list[Place]:
    """The panels of each part of a table of rows, which its column ``part`` tells.

    Args:
        rows: all of them.
        frame: ``row`` and ``part``.
        titles: of each part.
    """
    places = [
        replace(place, part=part, title=", ".join(filter(None, (title, place.title))))
        for part, title in titles.items()
        for place in places_of(rows, set(frame.loc[frame["part"] == part, "row"]))
    ]
    return with_names(places)


def _styles(rows: Rows, words: Mapping[int, str], by_norm: bool) -> dict[int, Style]:
    """The style of every row: that of its norm, or that of its word in the order in which words appear."""
    appearing = list(dict.fromkeys(words.values()))
    if not by_norm:
        styles = dict(zip(appearing, plain_styles(len(appearing)), strict=True))
    else:
        levels = rows.trials.levels["norm"]
        norms = {words[row]: level_text(levels[rows.keys["norm"][row]]) for row in words}
        styles = dict(zip(appearing, norm_styles([norms[word] for word in appearing]), strict=True))
    return {row: styles[word] for row, word in words.items()}


def _parts(title: str, members: Sequence[Member]) -> Iterator[Place]:
    """A place, or where its members are too many, one for each family and at most ``MOST_SERIES`` of it."""
    if len(members) <= MOST_SERIES:
        if members:
            yield Place("", title, tuple(members))
        return
    families: dict[str, list[Member]] = {}
    for member in members:
        families.setdefault(member.style.family, []).append(member)
    pieces = [
        family[start : start + MOST_SERIES]
        for family in families.values()
        for start in range(0, len(family), MOST_SERIES)
    ]
    faint = len(members) <= 4 * MOST_SERIES
    for number, piece in enumerate(pieces, 1):
        others = tuple(member.row for member in members if member not in piece) if faint else ()
        part = f"part {number} of {len(pieces)}"
        yield Place("", f"{title}, {part}" if title else part, tuple(piece), others)


def with_names(places: Sequence[Place]) -> list[Place]:
    """Places with names made of their titles, no two alike."""
    names = distinct([slug(place.title) or "all" for place in places], "-{}")
    return [replace(place, name=name) for place, name in zip(places, names, strict=True)]


def slug(text: str) -> str:
    """A text as part of a file's name: lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:LONGEST_NAME].strip("-.")


def short(text: str, most: int = LONGEST_LABEL) -> str:
    """A text fit for a legend: on one line, harmless, cut where it is longer than ``most`` letters."""
    text = harmless(text.replace("\n", " "))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def distinct(texts: Sequence[str], form: str = " ({})") -> list[str]:
    """Texts of which those that have been there before are numbered."""
    told: list[str] = []
    for text in texts:
        number, label = 1, text
        while label in told:
            number += 1
            label = text + form.format(number)
        told.append(label)
    return told
