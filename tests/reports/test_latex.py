"""Tables for LaTeX compile, whatever they hold, and fit on the page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bnbench.reports import Cell, Column, Report, ReportView, Table, render
from bnbench.reports.latex_text import LATIN, UNKNOWN, escape, numbers

from .hostile import HOSTILE, hostile_report

DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage{siunitx}
\begin{document}
\input{report}
\end{document}
"""
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="there is no pdflatex (Debian: texlive-latex-recommended, texlive-science)"
)


def compiled(text: str, folder: Path) -> str:
    """The log of a document that holds a fragment; fails where LaTeX finds an error."""
    (folder / "report.tex").write_text(text, encoding="utf-8")
    (folder / "document.tex").write_text(DOCUMENT, encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "-no-shell-escape", "document.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=120)
    log = (folder / "document.log").read_text(errors="replace")
    assert done.returncode == 0, re.findall(r"^!.*\n.*\n.*", log, re.M)
    return log


@needs_latex
def test_the_report_of_a_sweep_compiles_and_no_table_is_too_wide(made_up: Report, tmp_path: Path) -> None:
    log = compiled(render(made_up, "latex"), tmp_path)
    assert "Overfull" not in log and "Float too large" not in log


@needs_latex
def test_no_name_stops_latex(tmp_path: Path) -> None:
    log = compiled(render(hostile_report(*HOSTILE), "latex"), tmp_path)
    assert "Overfull" not in log and not list(tmp_path.glob("pwned*"))


@needs_latex
def test_each_letter_compiles(tmp_path: Path) -> None:
    letters = [chr(code) for code in (*range(0x20, 0x7F), *LATIN)]
    texts = [*letters, *(letter * 3 for letter in letters), *UNKNOWN, "中文", "αβ", "😀"]
    compiled("\n\n".join(map(escape, texts)), tmp_path)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("97.2 ± 0.3", r"\num{97.2} $\pm$ \num{0.3}"),
        ("-0.4 ± 0.1", r"\num{-0.4} $\pm$ \num{0.1}"),
        ("12,400 [300-500]", r"\num{12400} {[}\num{300}--\num{500}{]}"),
        ("79.4k [1.2k-1.3M]", r"\num{79.4}k {[}\num{1.2}k--\num{1.3}M{]}"),
        ("400 [300-never]", r"\num{400} {[}\num{300}--never{]}"),
        ("> 3.2x", r"\textgreater{} \num{3.2}$\times$"),
        ("1e-5 to 0.1", r"\num{1e-5} to \num{0.1}"),
        ("2/3", r"\num{2}/\num{3}"),
        ("91.0 n=1", r"\num{91.0} n=\num{1}"),
    ],
)
def test_numbers_are_set_by_siunitx(text: str, written: str) -> None:
    assert numbers(text) == written


def test_the_best_are_bold_and_captions_tell_the_seeds() -> None:
    rows = ((Cell("batch"), Cell(0.972, "percent", 0.003, n=3, mark="best")), (Cell("none"), Cell(0.9, "percent", n=2)))
    table = Table("Accuracy", (Column("norm", key=True), Column("val %")), rows, ("100% of it",), sections=(1,))
    text = render(Report("r", (), (ReportView("View", (table,)),)), "latex")
    assert r"{\bfseries\boldmath \num{97.2} $\pm$ \num{0.3}}" in text
    assert r"\caption{View: Accuracy. Each number is of at most 3 seeds.}" in text
    assert "\\addlinespace\nnone & \\num{90.0} \\\\" in text and r"100\% of it\par" in text


def test_long_and_wide_tables_are_broken_up_and_lose_nothing() -> None:
    columns = (Column("norm", key=True), *(Column(f"column {at}") for at in range(30)))
    rows = tuple((Cell(f"row {row}"), *(Cell(float(100 * row + at)) for at in range(30))) for row in range(70))
    text = render(Report("r", (), (ReportView("V", (Table("T", columns, rows, ("the note",)),)),)), "latex")
    assert text.count(r"\begin{table}") % 3 == 0 and text.count("the note") == 1
    shown = [int(number) for number in re.findall(r"\\num\{(\d+)\}", text)]
    assert sorted(shown) == sorted(100 * row + at for row in range(70) for at in range(30))
