"""Size and speed of figures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from bnbench.errors import InvalidRequest
from bnbench.figures.drawing import svg
from bnbench.reports import Document, Report, report
from tests.budget import slowness
from tests.products import long
from tests.reports.generator import make_sweep

LARGE: dict[str, Any] = {
    "model": ["mlp", "cnn", "resnet", "vgg"],
    "norm": ["batch", "group", "none"],
    "norm.groups": [2, 4, 8],
    "batch_size": [2, 8, 32, 128],
    "lr": [0.01, 0.03, 0.1, 0.3, 1.0],
    "seed": [0, 1, 2, 3, 4],
}
DEMO: dict[str, Any] = {
    "norm": ["batch", "group", "none"], "batch_size": [2, 8, 32, 128], "lr": [0.01, 0.1, 1.0], "seed": [0, 1, 2],
}  # fmt: skip


def made(factors: dict[str, Any], evaluations: int) -> Report:
    return report(*make_sweep(factors, np.random.default_rng(1), evaluations))


@pytest.fixture(scope="module")
def large() -> Report:
    computed = made(LARGE, 20)
    assert computed.runs is not None and len(computed.runs) == 2000
    return computed


def test_figures_of_many_runs_are_less_than_a_megabyte(large: Report):
    panels = [panel for view in large.views for figure in view.figures for panel in figure.panels]
    assert len(panels) > 50 and sum(len(svg(panel)) for panel in panels) < 1_000_000


@long
def test_figures_of_a_demo_take_two_seconds():
    svg(made(DEMO, 5).views[0].figures[0].panels[0])  # the library is loaded
    started, computed = time.process_time(), made(DEMO, 5)
    drawings = [svg(panel) for view in computed.views for figure in view.figures for panel in figure.panels]
    assert len(drawings) == 23 and time.process_time() - started < 2 * slowness()


def test_a_notebook_gets_a_figure_by_its_name(large: Report):
    document = Document(large)
    assert document.figure("batch-sizes").to_frame()["seeds"].max() == 5
    with pytest.raises(InvalidRequest, match=r"'batch-size': there is no such figure; did you mean 'batch-sizes'"):
        document.figure("batch-size")
    alone = Document(made({"norm": ["none"], "seed": [0]}, 5))
    with pytest.raises(InvalidRequest, match="No figure performance-profiles: it takes two"):
        alone.figure("performance-profiles")


def test_a_report_makes_no_figure_that_nobody_looks_at(large: Report, monkeypatch: pytest.MonkeyPatch):
    looked: list[str] = []
    for name in ("learning_curves.learning_curves", "learning_rates.learning_rates", "batch_sizes.batch_sizes"):
        monkeypatch.setattr(f"bnbench.figures.{name}", lambda *numbers, name=name: looked.append(name) or "nothing")
    computed = made(DEMO, 5)
    assert not looked
    assert [len(view.figures) for view in computed.views] == [2, 1, 0] and len(looked) == 3
