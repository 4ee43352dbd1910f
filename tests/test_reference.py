"""The reference is what the program says of itself today."""

import runpy
from pathlib import Path

from bnbench.store.columns import IDENTITY, METRICS, OUTCOME, PROBES, TRIAL

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_is_up_to_date() -> None:
    """``make schema`` renews it."""
    written = runpy.run_path(str(DOCS / "reference.py"))
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == written["markdown"]()
    assert set(written["COLUMNS"]) == {*IDENTITY, TRIAL, *OUTCOME, *METRICS, *PROBES}
