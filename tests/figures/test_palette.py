"""Series are told apart, on paper and on screens, and norms look the same everywhere."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import bnbench.schema
from bnbench.figures.palette import BUILT_IN, COLOURS, DASHES, Style, norm_styles, plain_styles
from bnbench.figures.theme import INK

NORMS = json.loads((Path(bnbench.schema.__file__).parent / "schema.json").read_text())["choices"]["norm"]
DICHROMATS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""Linear RGB as people without one kind of cone see it (Machado, Oliveira & Fernandes 2009)."""


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.1)."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    f = np.cbrt(xyz / [0.95047, 1.0, 1.08883])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#14171a"])
def test_colours_are_seen_on_light_and_dark_ground(colour: str, ground: str):
    assert contrast(colour, ground) >= 3


@pytest.mark.parametrize("kind", DICHROMATS)
@pytest.mark.parametrize("family", [family for family in DASHES if family != "other"])
def test_norms_of_a_family_differ_in_colour_for_people_who_see_few(kind: str, family: str):
    colours = {name: style.colour for name, style in BUILT_IN.items() if style.family == family and style.colour != INK}
    seen = {name: lab(np.array(DICHROMATS[kind]) @ linear(colour)) for name, colour in colours.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 10, (one, other)


def test_every_norm_has_a_look_of_its_own():
    assert sorted(BUILT_IN) == sorted(NORMS)
    looks = [(style.colour, style.dash, style.mark) for style in BUILT_IN.values()]
    assert len(set(looks)) == len(looks)
    for family in {style.family for style in BUILT_IN.values()}:
        colours = [style.colour for style in BUILT_IN.values() if style.family == family]
        assert len(set(colours)) == len(colours)


def test_a_norm_looks_the_same_whatever_is_beside_it():
    assert norm_styles(["mine", "batch", "none"])[1] == norm_styles(["batch"])[0] == BUILT_IN["batch"]


KNOWN = ["batch", "group", "layer", "rms", "none"]


@pytest.mark.parametrize(
    "norms",
    [
        ["batch", "mine"],
        ["mine", "batch", "none", "yours"],
        [*KNOWN, "mine", "yours"],
        ["mine", *KNOWN, "instance"],
        ["noisy_batch", "batch"],
        ["dyt", "frn", "evonorm_b0", *KNOWN],
        [f"mine{at}" for at in range(len(COLOURS))],
    ],
    ids=" ".join,
)
def test_no_two_norms_of_a_figure_share_a_colour_while_there_are_others(norms: list[str]):
    styles = dict(zip(norms, norm_styles(norms), strict=True))
    assert len({style.colour for style in styles.values()}) == len(norms)
    for name in KNOWN:
        assert styles.get(name, BUILT_IN[name]) == BUILT_IN[name]
    for one, other in itertools.combinations([*COLOURS, INK], 2):
        assert np.linalg.norm(lab(linear(one)) - lab(linear(other))) > 14


def test_variants_of_a_norm_and_others_are_told_apart():
    styles = norm_styles(["group", "group", "group", "mine", "yours", *NORMS])
    assert len({style.colour for style in styles[:3]}) == 1 and styles[0] == BUILT_IN["group"]
    looks = [(style.colour, style.dash, style.mark) for style in styles[:5]]
    assert len(set(looks)) == 5
    assert styles[3:5] == norm_styles(["mine", "yours"])


@pytest.mark.parametrize("count", [0, 1, 12, 30])
def test_plain_series_are_told_apart(count: int):
    styles: list[Style] = plain_styles(count)
    assert len({(style.colour, style.dash, style.mark) for style in styles}) == count
