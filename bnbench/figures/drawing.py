"""Panels drawn as SVG, PNG and PDF, by Vega-Lite in this process: nothing is fetched.

An SVG takes the colour of the text around it (``currentColor``) for its axes and words, so it is read on light and dark
ground. It has no ids, so many can be in one page: no mark is clipped, and what would be outside the axes is no data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from bnbench.figures.figure import Panel
from bnbench.figures.theme import CONFIG, FONT, INK
from bnbench.text import harmless

VERSION = "5.20"
"""Of Vega-Lite, among those that come with vl-convert."""
PAPER, PRINT = "#ffffff", "#1c1e21"
"""Ground and words where they cannot be those of a page."""
ADAPTIVE = "svg{color:#1c1e21}@media (prefers-color-scheme:dark){svg{color:#e6e7e9}}"
NAMESPACE = "http://www.w3.org/2000/svg"
SILENT = ("class", "role", "aria-hidden", "aria-label", "aria-roledescription", "pointer-events", "font-family")
DEFAULTS = {
    "transform": "translate(0,0)",
    "opacity": "1",
    "stroke-width": "1",
    "stroke-dasharray": "1,0",
    "font-weight": "normal",
    "text-anchor": "start",
    "x2": "0",
    "y2": "0",
}
NUMBERS = (
    "d",
    "transform",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "width",
    "height",
    "viewBox",
    "stroke-width",
    "opacity",
    "fill-opacity",
)
_NUMBER = re.compile(r"-?\d+\.\d{3,}(e-?\d+)?|-?\d+(\.\d+)?e-\d+")


def svg(panel: Panel) -> str:
    """An SVG element to be put into a page."""
    return _written(_root(panel), "currentColor")


def svg_file(panel: Panel) -> str:
    """An SVG that stands alone, with words that are light where the reader's screen is dark."""
    root = _root(panel)
    style = ElementTree.Element("style")
    style.text = ADAPTIVE
    root.insert(0, style)
    return _written(root, "currentColor") + "\n"


def png(panel: Panel, scale: float = 2.0) -> bytes:
    """A PNG on white, ``scale`` pixels for each pixel of the SVG."""
    from vl_convert import svg_to_png

    return bytes(svg_to_png(_printed(panel), scale=scale))


def pdf(panel: Panel) -> bytes:
    """A PDF on white, of one page as large as the drawing."""
    from vl_convert import svg_to_pdf

    return bytes(svg_to_pdf(_printed(panel)))


def _printed(panel: Panel) -> str:
    root = _root(panel)
    root.insert(0, ElementTree.Element("rect", {"width": "100%", "height": "100%", "fill": PAPER}))
    return _written(root, PRINT)


def _root(panel: Panel) -> ElementTree.Element:
    """The drawing as elements without a namespace, with all that only costs room taken away.

    A control character in any text would end the process that draws: each is escaped here, whoever wrote it.
    """
    from vl_convert import vegalite_to_svg

    spec = {**_escaped(panel.chart), "config": CONFIG}
    text = vegalite_to_svg(spec, vl_version=VERSION, allowed_base_urls=[], show_warnings=False)
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    _take_away(root)
    width, height = root.attrib["width"], root.attrib["height"]
    root.attrib = {
        "xmlns": NAMESPACE,
        "width": width,
        "height": height,
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": harmless(panel.description),
        "font-family": FONT,
    }
    return root


def _escaped(part: Any) -> Any:
    """A part of a description with all of its texts fit to be drawn."""
    match part:
        case str():
            return harmless(part)
        case Mapping():
            return {harmless(str(name)): _escaped(value) for name, value in part.items()}
        case list() | tuple():
            return [_escaped(value) for value in part]
        case _:
            return part


def _take_away(root: ElementTree.Element) -> None:
    """Remove marks that draw nothing, words for other readers than people, groups that do nothing, and digits."""
    for element in list(root):
        if element.get("display") == "none" or (element.get("class") == "background" and not element.get("stroke")):
            root.remove(element)
            continue
        _take_away(element)
    for name in SILENT:
        root.attrib.pop(name, None)
    for name, value in DEFAULTS.items():
        if root.get(name) == value:
            del root.attrib[name]
    for name in NUMBERS:
        if name in root.attrib:
            root.set(name, _NUMBER.sub(_rounded, root.attrib[name]))
    children: list[ElementTree.Element] = []
    for element in list(root):
        idle = element.tag == "g" and not element.attrib
        children += list(element) if idle else [element] if element.tag != "g" or len(element) else []
    root[:] = children


def _rounded(number: re.Match[str]) -> str:
    return f"{round(float(number.group()), 2):g}" if abs(float(number.group())) < 1e5 else number.group()


def _written(root: ElementTree.Element, ink: str) -> str:
    return ElementTree.tostring(root, encoding="unicode").replace(INK, ink)
