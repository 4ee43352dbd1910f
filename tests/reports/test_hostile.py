"""Names and texts from elsewhere are shown as texts, in every format."""

import csv
import io
import re
import unicodedata

import pytest
from markdown_it import MarkdownIt

from bnbench.notices import heard
from bnbench.reports import FORMATS, render
from bnbench.reports.terminal import render_terminal
from bnbench.text import one_line

from .hostile import HOSTILE, hostile_report

TEXT_FORMATS = ("terminal", "markdown", "latex", "csv")


def squeezed(text: str) -> str:
    return "".join(text.split())


def read_back(format: str, text: str) -> str:
    """What a reader sees of a rendered report, without blanks."""
    match format:
        case "markdown":
            tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
            parts = [part for token in tokens for part in token.children or []]
            assert {part.type for part in parts} <= {"text", "text_special"}
            fences = [token.content for token in tokens if token.type == "fence"]
            return squeezed("".join([*(part.content for part in parts), *fences]))
        case "csv":
            return squeezed(" ".join(cell.removeprefix("'") for row in csv.reader(io.StringIO(text)) for cell in row))
        case _:
            return squeezed(text)


@pytest.mark.parametrize("format", TEXT_FORMATS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_shown_as_text(name: str, format: str) -> None:
    text = render(hostile_report(name), format)
    assert all(character == "\n" or unicodedata.category(character)[0] != "C" for character in text)
    if format != "latex":  # tests/reports/test_latex.py compiles it
        assert squeezed(one_line(HOSTILE[name])) in read_back(format, text)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_text_is_wider_than_the_terminal(name: str) -> None:
    assert max(map(len, render_terminal(hostile_report(name), 80).splitlines())) <= 80


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_csv_is_a_formula_and_a_notice_says_which_were(name: str) -> None:
    notices: list[str] = []
    with heard(notices.append):
        rows = list(csv.reader(io.StringIO(render(hostile_report(name), "csv"))))
    dangerous = bool(re.match(r"[=+@-]|\uff1d", HOSTILE[name]))
    assert not any(re.match(r"[=+@\t\r-]|\uff1d", cell) for row in rows for cell in row)
    assert any(cell == f"'{one_line(HOSTILE[name])}" for row in rows for cell in row) == dangerous
    assert [("would be a formula" in notice) for notice in notices] == [True] * dangerous


def test_all_formats_that_are_text_are_tested() -> None:
    assert {*TEXT_FORMATS} == {*FORMATS} - {"html"}
