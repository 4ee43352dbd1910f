"""Colour, dash and mark of each series: a norm has the same ones in every figure, unless its colour is taken there.

The hues are those of Okabe & Ito (2008), which people who see few colours can tell apart, as dark as it takes to be
seen on white and on black (contrast above 3). Twenty norms are more than colours can tell: the dash says the family,
the mark the member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bnbench.figures.theme import INK

BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#c04a00", "#009e73", "#c98500"
SKY, PURPLE, OLIVE = "#3a97d3", "#c2649a", "#8a8500"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, OLIVE)
SPARE = (ORANGE, PURPLE, GREEN, VERMILION, SKY, OLIVE, BLUE)
"""The order in which norms without a colour take one: last those that are hard to tell from a colour before them."""
MARKS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left")

Family = Literal["classic", "batch", "mixed", "example", "pointwise", "weights", "other"]
DASHES: dict[Family, tuple[int, ...]] = {
    "classic": (1, 0),
    "batch": (6, 3),
    "mixed": (9, 3, 2, 3, 2, 3),
    "example": (2, 3),
    "pointwise": (5, 2, 1, 2),
    "weights": (8, 3, 2, 3),
    "other": (11, 4),
}
MEMBERS: dict[Family, dict[str, str]] = {
    "classic": {"none": INK, "batch": BLUE, "layer": VERMILION, "group": GREEN, "instance": ORANGE, "rms": PURPLE},
    "batch": {
        "sync": SKY,
        "ghost": GREEN,
        "renorm": VERMILION,
        "precise": PURPLE,
        "l1_batch": ORANGE,
        "noisy_batch": BLUE,
        "xbn": INK,
    },
    "mixed": {
        "batch_instance": SKY,
        "switchable": ORANGE,
        "repbn": VERMILION,
        "prepbn": PURPLE,
        "ghost_noise": BLUE,
    },
    "example": {"frn": BLUE, "evonorm_b0": VERMILION, "evonorm_s0": PURPLE, "grn": GREEN},
    "pointwise": {"dyt": INK, "derf": VERMILION, "isru": SKY},
    "weights": {"ws": GREEN, "scaled_ws": ORANGE, "weight": SKY, "spectral": VERMILION, "fixup": PURPLE},
}
"""The built-in norms: the well-known ones, variants of batch normalization, what mixes it with something, others of
activations, functions in place of one, and those of weights."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a series is drawn.

    Attributes:
        colour: of its lines and marks.
        dash: lengths of strokes and gaps in pixels.
        mark: a shape of Vega.
        family: norms that are drawn in one panel where all are too many.
    """

    colour: str
    dash: tuple[int, ...]
    mark: str
    family: Family = "other"


BUILT_IN: dict[str, Style] = {
    name: Style(colour, DASHES[family], mark, family)
    for family, members in MEMBERS.items()
    for (name, colour), mark in zip(members.items(), MARKS, strict=False)
}


def norm_styles(norms: Sequence[str]) -> list[Style]:
    """The styles of series by their norms; of several series with one norm all but the first have other dashes, marks.

    A norm whose colour another one has here takes a free one, as long as there are any; a well-known one keeps its.

    Args:
        norms: of each series; those that are not built in are told apart in the order in which they appear.
    """
    there = dict.fromkeys(norms)
    unknown = [name for name in there if name not in BUILT_IN]
    styles = {name: style for name, style in BUILT_IN.items() if name in there}
    styles |= {
        name: replace(style, colour=SPARE[at % len(SPARE)])
        for at, (name, style) in enumerate(zip(unknown, plain_styles(len(unknown), DASHES["other"]), strict=True))
    }
    styles = _apart(styles)
    return [_variant(styles[name], norms[:at].count(name)) for at, name in enumerate(norms)]


def _apart(styles: Mapping[str, Style]) -> dict[str, Style]:
    """Styles of which no two have one colour, as far as colours go; of those that share one the first keeps it."""
    keepers: dict[str, str] = {}
    for name, style in styles.items():
        keepers.setdefault(style.colour, name)
    free = [colour for colour in SPARE if colour not in keepers]
    return {
        name: replace(style, colour=free.pop(0)) if free and keepers[style.colour] != name else style
        for name, style in styles.items()
    }


def _variant(style: Style, number: int) -> Style:
    """The same colour with another dash and mark."""
    if number == 0:
        return style
    dashes = [style.dash, *(dash for dash in DASHES.values() if dash != style.dash)]
    mark = MARKS[(MARKS.index(style.mark) + number) % len(MARKS)]
    return replace(style, dash=dashes[number % len(dashes)], mark=mark)


def plain_styles(count: int, dash: tuple[int, ...] = DASHES["classic"]) -> list[Style]:
    """Styles of series that are no norms, in their order."""
    dashes = [dash, *(other for other in DASHES.values() if other != dash)]
    return [
        Style(COLOURS[at % len(COLOURS)], dashes[at // len(COLOURS) % len(dashes)], MARKS[at % len(MARKS)])
        for at in range(count)
    ]
