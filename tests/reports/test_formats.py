import pytest
from rich.console import Console

from bnbench.errors import InvalidRequest
from bnbench.reports import Cell, Column, ReportView, Table, print_views, render
from bnbench.reports.terminal import render_terminal, split_columns

WIDE = Table(
    "Wide",
    (Column("norm", key=True), *(Column(f"column {at}") for at in range(9))),
    (tuple(Cell(f"[red]|{at}|") for at in range(10)),) * 2,
    ("a <note>",),
    sections=(1,),
)


def test_a_wide_table_is_broken_up_and_repeats_its_keys() -> None:
    parts = split_columns(WIDE, 40)
    assert all(part[0] == 0 for part in parts)
    assert [at for part in parts for at in part[1:]] == list(range(1, 10))


@pytest.mark.parametrize("width", [40, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_no_entry_is_wrapped(width: int) -> None:
    text = render_terminal([ReportView("Title", (WIDE,))], width)
    assert max(map(len, text.splitlines())) <= width
    assert all(text.count(f"[red]|{at}|") == 2 for at in range(1, 10))


def test_markdown_escapes_what_it_would_read_as_markup() -> None:
    text = render([ReportView("Title", (WIDE,))], "markdown")
    assert r"| [red]\|0\| | [red]\|1\| |" in text
    assert "- a &lt;note>" in text


def test_a_view_without_tables_is_one_line() -> None:
    assert (
        render([ReportView("Title", notes=("There are no runs.",))], "markdown") == "## Title\n\nThere are no runs.\n"
    )


def test_colour_only_where_there_is_some() -> None:
    views = [ReportView("Title", (WIDE,))]
    colour = Console(width=100, color_system="standard", force_terminal=True, legacy_windows=False)
    with colour.capture() as captured:
        print_views(views, colour)
    assert "\x1b[" in captured.get()
    assert "\x1b[" not in render(views)


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'markdown'"):
        render([], "markdwon")
