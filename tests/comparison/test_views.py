"""The dossier says of each arm what it is, and shows verdicts in few letters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import comparison
from bnbench.comparison.facts import facts_view
from bnbench.comparison.views import LEGEND, verdict_cell
from bnbench.reports import Report, plain_text, render
from bnbench.stats import Verdict
from bnbench.study import Place, scorecard
from tests.study.test_scorecards import NOISE, findings, study

PLUGIN = '''
import helper
from torch import nn

class Mine(nn.BatchNorm1d):
    """Batch normalization, `once` more.

    Args:
        weight: of nothing.
    """

    def __init__(self, num_features: int, *, weight: float = 1.0) -> None:
        """</script>"""
        super().__init__(num_features, helper.EPS)

def factory(num_features: int) -> nn.Module:
    return Mine(num_features)

class Broken(nn.Module):
    def __init__(self, num_features: int) -> None:
        raise ValueError("not today")

class Deadly(nn.Module):
    def __init__(self, num_features: int) -> None:
        __import__("os")._exit(3)

NORMS = {"mine": Mine, "by_function": factory, "broken": Broken, "deadly": Deadly}
'''
ARMS = ("mine weight=2", "by_function", "broken", "deadly", "group groups=8", "batch optim.weight_decay=0.001")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("facts")
    (folder / "mine.py").write_text(PLUGIN)
    (folder / "helper.py").write_text("EPS = 1e-3\n")
    place = Place(folder / "results", folder / "data", folder / "mine.py")
    arms = comparison.read_arms(ARMS, place.components)
    return Report("facts", (), (facts_view(arms, comparison.facts_of(arms, place), place.components),))


def column(shown: Report, table: int, title: str) -> dict[str, str]:
    """The entries of a column by arm."""
    chosen = shown.views[0].tables[table]
    (at,) = [at for at, column in enumerate(chosen.columns) if column.title == title]
    return {plain_text(row[0]): plain_text(row[at]) for row in chosen.rows}


def test_each_arm_has_its_class_and_file(shown: Report) -> None:
    assert column(shown, 0, "source") == {
        "mine weight=2": "Mine, mine.py",
        "by_function": "factory, mine.py",
        "broken": "Broken, mine.py",
        "deadly": "-",
        "group groups=8": "GroupNorm, bnbench/norms/group.py",
        "batch optim.weight_decay=0.001": "BatchNorm, bnbench/norms/batch.py",
    }
    assert "broken: ValueError: not today" in " ".join(shown.views[0].tables[0].notes)


def test_each_network_says_what_it_learns_and_whether_it_needs_the_batch(tmp_path: Path) -> None:
    """A perceptron of 64 inputs, three times 100 units and 10 classes; a layer before a norm has no bias of its own."""
    (tmp_path / "plain.py").write_text(
        "from torch import nn\nclass Plain(nn.BatchNorm1d):\n"
        "    def __init__(self, num_features):\n        super().__init__(num_features, affine=False)\n"
        "NORMS = {'plain': Plain}\n"
    )
    place = Place(tmp_path / "results", tmp_path / "data", tmp_path / "plain.py")
    arms = comparison.read_arms(["batch", "layer", "none", "dyt", "plain"], place.components)
    report = Report("facts", (), (facts_view(arms, comparison.facts_of(arms, place), place.components),))
    weights = 64 * 100 + 2 * 100 * 100 + 100 * 10
    scales_and_shifts = 3 * 2 * 100
    assert column(report, 0, "parameters") == {
        "batch": f"{weights + 10 + scales_and_shifts:,}",
        "layer": f"{weights + 10 + scales_and_shifts:,}",
        "none": f"{weights + 10 + 3 * 100:,}",
        "dyt": f"{weights + 10 + scales_and_shifts + 3:,}",
        "plain": f"{weights + 10:,}",
    }
    yes, no = "yes", "no"
    needs = {"batch": yes, "layer": no, "none": no, "dyt": no, "plain": yes}
    assert column(report, 0, "sees the batch in training") == needs
    assert column(report, 0, "differs at evaluation") == needs


def test_each_norm_has_its_options_as_they_were_with_other_defaults_beside_them(shown: Report) -> None:
    options = column(shown, 1, "options")
    assert options["mine weight=2"] == "weight=2.0 (default 1.0)"
    assert options["by_function"] == "none"
    assert options["group groups=8"].endswith("groups=8 (default 4)")
    assert options["batch optim.weight_decay=0.001"].endswith(", optim.weight_decay=0.001")


def test_each_norm_has_its_formula_and_what_it_says_of_itself(shown: Report) -> None:
    described = column(shown, 1, "description")
    assert described["mine weight=2"] == "Batch normalization, once more."
    assert column(shown, 1, "formula")["mine weight=2"] == "-"
    assert "channels" in column(shown, 1, "formula")["group groups=8"]


def test_a_plugin_is_shown_whole_and_never_run(shown: Report) -> None:
    first, second = shown.views[0].listings
    assert (first.title, first.text) == ("mine.py, 27 lines", PLUGIN)
    assert (second.title, second.text) == ("helper.py, 1 line", "EPS = 1e-3\n")
    page = render(shown, "html")
    assert "&lt;/script&gt;" in page and '"""</script>"""' not in page
    assert 'raise ValueError("not today")' in render(shown, "markdown")


def test_without_an_arm_of_it_a_plugin_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace("import helper", "import math as helper").replace("EPS", "pi"))
    place = Place(tmp_path / "results", tmp_path / "data", tmp_path / "mine.py")
    arms = comparison.read_arms(["layer", "batch"], place.components)
    assert facts_view(arms, {}, place.components).listings == ()


@pytest.mark.parametrize(
    ("verdict", "sign", "word"),
    [
        ("supported", ">", "better"),
        ("contradicted", "<", "worse"),
        ("no difference", "=", "no difference"),
        ("inconclusive", "?", "inconclusive"),
    ],
)
def test_a_cell_is_a_sign_and_an_effect_and_its_table_says_what_the_sign_is(
    tmp_path: Path, verdict: Verdict, sign: str, word: str
) -> None:
    """Its interval is kept for CSV."""
    accuracies = {("batch", "all"): 0.95 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]}
    (row,) = scorecard([findings(study(tmp_path), accuracies)])
    cell = verdict_cell(replace(row, decision=replace(row.decision, verdict=verdict)))
    assert plain_text(cell) == f"{sign} +5.0 points" and f"{sign} {word}" in LEGEND.split(", ")
    assert (cell.value, cell.low, cell.high, cell.n) == (row.effect, row.low, row.high, 10)
