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
from bnbench.figures.theme import CONFIG, INK
from tests.analysis.frames import metrics_of, runs_of
from tests.reports.hostile import HOSTILE

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
