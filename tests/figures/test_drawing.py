"""Drawings are well-formed, fetch nothing, show any text as text, and look the same on light and dark ground."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from vl_convert import vegalite_to_svg

from bnbench.analysis import Options, analyze_convergence, analyze_learning_rate, read_trials
from bnbench.figures import Figure, Panel
from bnbench.figures.drawing import VERSION, pdf, png, svg, svg_file
from bnbench.figures.learning_curves import learning_curves
from bnbench.figures.learning_rates import learning_rates
from bnbench.figures.palette import COLOURS
from bnbench.figures.scorecard import scorecard
from bnbench.figures.theme import CONFIG, INK
from bnbench.text import harmless
from tests.analysis.frames import metrics_of, runs_of
from tests.products import long
from tests.reports.hostile import HOSTILE

from .made_up import verdicts

FIGURES = [
    "learning-curves", "steps-to-target", "performance-profiles", "learning-rates", "divergence", "batch-sizes",
    "scorecard", "gradient_norm", "drift", "landscape", "costs",
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawings(figures: dict[str, Figure]) -> dict[str, list[str]]:
    return {name: [svg(panel) for panel in figure.panels] for name, figure in figures.items()}


def test_every_figure_is_tried(figures: dict[str, Figure]):
    assert sorted(figures) == sorted(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_drawings_take_the_ink_of_the_page_and_have_no_ids(
    figures: dict[str, Figure], drawings: dict[str, list[str]], name: str
):
    for panel, drawing in zip(figures[name].panels, drawings[name], strict=True):
        root = ElementTree.fromstring(drawing)
        assert root.attrib["role"] == "img" and root.attrib["aria-label"] == panel.description
        colours = {value for element in root.iter() for value in (element.get("fill"), element.get("stroke")) if value}
        assert "currentColor" in colours and INK not in drawing
        assert colours <= {"currentColor", "none", "transparent", *COLOURS}
        assert not any(attribute in drawing for attribute in (" id=", "href", "url(", "<script", "<style"))
        assert re.findall(r"https?://[^\"]*", drawing) == ["http://www.w3.org/2000/svg"]
        assert not re.search(r"\d\.\d{3,}", drawing) and "NaN" not in drawing
        assert not any(element.tag == f"{SVG}g" and not len(element) for element in root.iter())


@pytest.mark.parametrize("name", FIGURES)
def test_words_and_marks_stay_inside_the_drawing(drawings: dict[str, list[str]], name: str):
    for drawing in drawings[name]:
        root = ElementTree.fromstring(drawing)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        assert 300 < width < 800 and 60 < height < 500
        for x, y in _places(root, 0, 0):
            assert -1 <= x <= width + 1 and -1 <= y <= height + 1


def _places(element: ElementTree.Element, x: float, y: float) -> Any:
    """Where texts and marks are, by all moves around them."""
    for dx, dy in re.findall(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))[:1]:
        x, y = x + float(dx), y + float(dy)
    if element.tag in (f"{SVG}text", f"{SVG}path") and "transform" in element.attrib:
        yield x, y
    for child in element:
        yield from _places(child, x, y)


@pytest.mark.parametrize("name", FIGURES)
def test_descriptions_are_valid(figures: dict[str, Figure], name: str, capfd: pytest.CaptureFixture[str]):
    for panel in figures[name].panels:
        spec = {**panel.chart, "config": CONFIG}
        vegalite_to_svg(spec, vl_version=VERSION, allowed_base_urls=[], show_warnings=True)
    captured = capfd.readouterr()
    assert "WARN" not in captured.out + captured.err


def test_an_invalid_description_is_an_error():
    with pytest.raises(ValueError, match="vega-lite"):
        svg(Panel("x", "", {"mark": "no such mark", "data": {"values": [{"x": 1}]}}, "x"))


def test_nothing_is_fetched():
    chart = {"mark": "point", "data": {"url": "https://example.org/x.csv"}, "encoding": {"x": {"field": "x"}}}
    with pytest.raises(ValueError):
        svg(Panel("x", "", chart, "x"))


def test_files_for_paper_and_for_screens(figures: dict[str, Figure]):
    panel = figures["learning-rates"].panels[0]
    assert png(panel).startswith(b"\x89PNG") and pdf(panel).startswith(b"%PDF")
    alone = svg_file(panel)
    ElementTree.fromstring(alone)
    assert "prefers-color-scheme:dark" in alone and alone.endswith("</svg>\n")
    assert svg(panel) == svg(panel)


CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0xFFFE, 0xFFFF, 0xD800, 0xDCFF, 0x202E)]


KINDS = "\0\t\n\x1b\x7f\x85\ufffe\ud800\u202e"


@pytest.mark.parametrize(
    "character", [pytest.param(one, marks=() if one in KINDS else long) for one in CONTROLS], ids=ascii
)
def test_no_character_ends_the_process_that_draws(character: str):
    text = f"a{character}b"
    axis = {"field": "x", "type": "nominal", "title": text, "sort": [text], "scale": {"domain": [text, "other"]}}
    data = {"values": [{"x": text, text: text}]}
    drawing = svg(Panel("x", text, {"mark": "point", "data": data, "encoding": {"x": axis}, "title": [text]}, text))
    root = ElementTree.fromstring(drawing)
    shown = "a b" if character == "\n" else f"a{character.encode('unicode_escape').decode()}b"
    words = [" ".join("".join(element.itertext()).split()) for element in root.iter(f"{SVG}text")]
    assert words.count(shown) == 3, words
    assert root.attrib["aria-label"].replace("\n", " ") == shown


LABELS = {
    "short": ("convergence", "steps"),
    "words": (
        "batch_instance momentum=0.25 eps=1e-5 affine=none",
        "against group groups=8 placement=before optim.lr=1",
    ),
    "one word": ("x" * 200, "against " + "y" * 120),
    "wide": ("W" * 60, "against " + "\u4e2d" * 50),
    "signs": ("</script>&amp;\x1b[31m", "against `a|b` _c_"),
}


@pytest.mark.parametrize("name", LABELS)
def test_the_name_of_a_claim_is_whole(name: str):
    table = verdicts().iloc[:2]
    table = table.assign(study=[LABELS[name][0], "a"], claim=[LABELS[name][1], "b"])
    figure = scorecard(table)
    assert isinstance(figure, Figure)
    root = ElementTree.fromstring(svg(figure.panels[0]))
    labels = [element for element in root.iter(f"{SVG}text") if element.get("text-anchor") == "end"]
    lines = [["".join(part.itertext()) for part in label] or [label.text or ""] for label in labels]
    whole = harmless(": ".join(LABELS[name])).replace(" ", "")
    assert ["".join(parts).replace(" ", "") for parts in lines] == [whole, "a:b"]
    starts = [next(place for place in _anchors(root, 0, 0) if place[0] is label) for label in labels]
    for (_, x, y), parts in zip(starts, lines, strict=True):
        assert x >= 5.9 * max(map(len, parts)) and y >= 0
    middles = [y + 13 * (len(parts) - 1) / 2 for (_, _, y), parts in zip(starts, lines, strict=True)]
    assert middles[1] - middles[0] == pytest.approx(22 + 13 * (len(lines[0]) - 1), rel=0.02)


def _anchors(element: ElementTree.Element, x: float, y: float) -> Any:
    """Texts with the places at which they end."""
    for dx, dy in re.findall(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))[:1]:
        x, y = x + float(dx), y + float(dy)
    if element.tag == f"{SVG}text":
        yield element, x, y
    for child in element:
        yield from _anchors(child, x, y)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_names_are_shown_as_text(text: str):
    runs = runs_of(*({"norm": norm, "lr": lr} for norm in (text, "none") for lr in (0.1, 1.0)))
    trials, metrics = read_trials(runs), metrics_of({f"r{at}": [0.2, 0.9] for at in range(4)})
    for figure in (
        learning_curves(analyze_convergence(trials, metrics, Options()), metrics),
        learning_rates(analyze_learning_rate(trials)),
    ):
        assert isinstance(figure, Figure)
        for panel in figure.panels:
            root = ElementTree.fromstring(svg(panel))
            words = [element.text or "" for element in root.iter() if element.tag == f"{SVG}text"]
            labels = figure.data["series"].unique().tolist()
            assert all(label in words for label in labels if label.strip()), (labels, words)
            assert all(len(label) <= 32 and label.isprintable() for label in labels)
            assert {element.tag for element in root.iter()} <= {
                f"{SVG}{tag}" for tag in ("svg", "g", "path", "line", "text", "rect")
            }
            assert re.fullmatch(r"[a-z0-9.-]+", panel.name) and ".." not in panel.name
