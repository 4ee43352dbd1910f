import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from bnbench.errors import InvalidRequest
from bnbench.reports import Cell, Column, Listing, Report, ReportView, Table, print_report, render
from bnbench.reports.terminal import render_terminal, split_columns
from bnbench.reports.tidy import safe_csv
from bnbench.text import harmless

WIDE = Table(
    "Wide",
    (Column("norm", key=True), *(Column(f"column {at}") for at in range(9))),
    (tuple(Cell(f"[red]|{at}|") for at in range(10)),) * 2,
    ("a <note>",),
    sections=(1,),
)


def report_of(*views: ReportView) -> Report:
    return Report("title", (), views)


SHOWN = report_of(ReportView("Title", (WIDE,)))


def test_a_wide_table_is_broken_up_and_repeats_its_keys() -> None:
    parts = split_columns(WIDE, 40)
    assert all(part[0] == 0 for part in parts)
    assert [at for part in parts for at in part[1:]] == list(range(1, 10))


@pytest.mark.parametrize("width", [40, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_no_entry_is_wrapped(width: int) -> None:
    text = render_terminal(SHOWN, width)
    assert max(map(len, text.splitlines())) <= width
    assert all(text.count(f"[red]|{at}|") == 2 for at in range(1, 10))


def test_markdown_escapes_what_it_would_read_as_markup() -> None:
    text = render(SHOWN, "markdown")
    assert r"| [red]\|0\| | [red]\|1\| |" in text
    assert "- a &lt;note>" in text


def test_a_source_keeps_its_lines_whatever_it_holds() -> None:
    """Also one that holds the fences of Markdown; LaTeX and CSV are for tables."""
    source = 'def norm(x):\n    """````python"""\n\n    return x  # </code>'
    shown = report_of(replace(SHOWN.views[0], listings=(Listing("mine.py, 4 lines", source),)))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(render(shown, "markdown"))
    (fence,) = [token for token in tokens if token.type == "fence"]
    assert fence.content.rstrip() == source
    assert "\n".join(f"  {line}".rstrip() for line in source.splitlines()) in render(shown, "terminal")
    (block,) = re.findall(r"<pre><code>(.*?)</code></pre>", render(shown, "html"), flags=re.S)
    assert unescape(block) == source
    assert all("def norm" not in render(shown, format) for format in ("latex", "csv"))


PROSE = Table(
    "Prose",
    (Column("norm", key=True), Column("formula", prose=True), Column("n")),
    ((Cell("mine"), Cell("x less its mean, over its standard deviation, times a learned factor"), Cell("1")),),
)


@pytest.mark.parametrize("width", [60, 120])
def test_sentences_in_a_column_are_wrapped_at_blanks(width: int) -> None:
    lines = render_terminal(report_of(ReportView("Title", (PROSE,))), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("standard deviation" in line or "learned factor" in line for line in lines) >= 1
    assert "| :--- | :--- | ---: |" in render(report_of(ReportView("Title", (PROSE,))), "markdown")


PIECES = [
    *"\\`*_{}[]()<>#+-.!|&~$@:=;/ \"'1ab\t\n\r\x1b\x9b\u202e",
    *(
        "https://a.b",
        "www.x.y",
        "<b>",
        "<!--",
        "&amp;",
        "&#35;",
        "[a](b)",
        "![a](b)",
        "[^1]",
        "[^1]: x",
        "[a]: b",
        "[a]",
        "1. ",
        "2) ",
        "- - -",
    ),
    *("    ", "---", "===", "# ", " #", "> ", "- ", "__", "**", "~~", "```", "|---|", "batch_size", "中", "é"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_markdown_gives_back_any_text(text: str) -> None:
    """A control character comes back as its escape, a line break as a blank."""
    expected = harmless(" ".join(text.splitlines()).strip())
    table = Table(text, (Column(text, key=True), Column("n")), ((Cell(text), Cell("1")),), (text, "note"))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(
        render(report_of(ReportView(text, (table,), (text,))), "markdown")
    )
    read = [token.children or [] for token in tokens if token.type == "inline"]
    assert {part.type for parts in read for part in parts} <= {"text", "text_special"}
    read_texts = ["".join(part.content for part in parts) for parts in read]
    assert [read for read in read_texts if read] == [
        shown for shown in (expected, expected, expected, "n", expected, "1", expected, "note", expected) if shown
    ]
    kinds = ["heading", "heading", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    notes = ["bullet_list", *["list_item", "paragraph"] * 3]
    opened = [token.type.removesuffix("_open") for token in tokens if token.type.endswith("_open")]
    if expected:
        assert opened == [*kinds, *notes]


def test_a_view_without_tables_is_one_line() -> None:
    assert (
        render(report_of(ReportView("Title", notes=("There are no runs.",))), "markdown")
        == "## Title\n\nThere are no runs.\n"
    )


def test_colour_only_where_there_is_some() -> None:
    colour = Console(width=100, color_system="standard", force_terminal=True, legacy_windows=False)
    with colour.capture() as captured:
        print_report(SHOWN, colour)
    assert "\x1b[" in captured.get()
    assert "\x1b[" not in render(SHOWN)


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'markdown'"):
        render(SHOWN, "markdwon")


def test_truth_values_that_some_rows_lack_are_written_as_they_are() -> None:
    """As an option that only one of two norms has; texts beside them are still kept from being formulas."""
    frame = pd.DataFrame({"nesterov": [True, None, False], "name": ["=1+1", "a\nb", None], "lr": [0.1, -1.0, 1.0]})
    assert safe_csv(frame) == ("nesterov,name,lr\nTrue,'=1+1,0.1\n,a b,-1.0\nFalse,,1.0\n", 1)


@pytest.mark.parametrize("text", ["-", "-1e-5", "-1.5E+20", "+2", "-0.3 ± 0.1"])
def test_a_number_with_a_sign_and_a_sign_alone_are_no_formulas(text: str) -> None:
    assert safe_csv(pd.DataFrame({"a": [text]})) == (f"a\n{text}\n", 0)


@pytest.mark.parametrize("text", ["+", "-1e", "-e5", "--", "-1+1", "-1e-5+1"])
def test_what_begins_as_a_number_may_be_a_formula(text: str) -> None:
    assert safe_csv(pd.DataFrame({"a": [text]})) == (f"a\n'{text}\n", 1)
