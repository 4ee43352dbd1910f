"""Whole rendered reports of a made-up sweep. To accept a change, run with ``BNBENCH_UPDATE_GOLDEN=1``."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench.reports import Report, render

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("format", "suffix"), [("terminal", "txt"), ("markdown", "md"), ("latex", "tex"), ("csv", "csv")]
)
@pytest.mark.parametrize("at", [0, 1, 2, 3], ids=["convergence", "learning-rate", "small-batch", "summary"])
def test_rendered_reports(made_up: Report, at: int, format: str, suffix: str, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.removesuffix(f"-{format}-{suffix}")
    path = GOLDEN / f"{name}.{suffix}"
    view = replace(made_up, summary=(), provenance=(), views=made_up.views[at : at + 1])
    text = render(replace(made_up, views=()) if name == "summary" else view, format)
    if os.environ.get("BNBENCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
