"""A dossier as LaTeX: every table and sentence of it, and it compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnbench import comparison
from bnbench.comparison import Comparison, dossier_report
from bnbench.comparison.course import Dossier
from bnbench.reports import Report, render
from bnbench.reports.latex_text import escape
from bnbench.study import Place
from tests.comparison.test_overview import VERDICTS, _asked, _dossier
from tests.reports.test_latex import compiled, needs_latex


@pytest.fixture(scope="module")
def dossier() -> Report:
    """Five arms against batch, with all kinds of verdict, places, facts, and a remark with what LaTeX has signs for."""
    place = Place(Path("absent"), Path("absent"))
    arms = comparison.read_arms([*VERDICTS, "batch"], place.components)
    asked = _asked([*VERDICTS], ["batch"])
    decided: Dossier = _dossier(asked)
    decided.remarks[asked.name] = ("3 runs of none failed: 50% of_it & #1 {x} \\ ~^$",)
    facts = comparison.facts_of(arms, place)
    request = Comparison(tuple(arms), (asked,), "smoke")
    return dossier_report(request, decided, facts, place.components, "bnbench compare layer_norm --budget 5%")


def test_a_dossier_as_latex_has_its_views_and_escapes_what_latex_takes_for_commands(dossier: Report):
    text = render(dossier, "latex")
    for view in dossier.views:
        assert all(escape(table.title) in text for table in view.tables), view.title
    assert r"50\% of\_it \& \#1 \{x\}" in text and "50% of_it" not in text
    assert r"\num{28010}" in text and r"\num{28013}" not in text, "the parameters of its arms"
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") >= sum(len(view.tables) for view in dossier.views)


@needs_latex
def test_a_dossier_compiles_and_no_table_of_it_is_too_wide(dossier: Report, tmp_path: Path):
    log = compiled(render(dossier, "latex"), tmp_path)
    assert "Overfull" not in log and "Float too large" not in log
