"""A comparison from Python: its dossier, and the call that repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnbench
from bnbench.reports import plain_text
from tests.comparison.laid_down import lay_down
from tests.products import long


def _results(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*/*.csv")}


@long
def test_the_call_of_a_dossier_repeats_it_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs that are laid down stand for those that were trained."""
    monkeypatch.chdir(tmp_path)
    lay_down(["group groups=2"], ["batch"])
    before = _results(Path("results"))
    first = bnbench.compare(
        "group groups=2", against=("batch",), scale="smoke", jobs=1, results=Path("results"), data="data"
    )
    call = dict(first.report.provenance)["command"]
    assert call == (
        "bnbench.compare('group groups=2', against=['batch'], scale='smoke', jobs=1, results='results', data='data')"
    )
    again = eval(call, {"bnbench": bnbench})
    assert _results(Path("results")) == before and len(before) >= 10
    assert str(again) == str(first)
    verdicts = again.report.views[0].tables[0]
    cells = {plain_text(row[0]): plain_text(row[2]) for row in verdicts.rows}
    assert len(cells) == 17 and cells["accuracy"] == "? +25.0 points"
