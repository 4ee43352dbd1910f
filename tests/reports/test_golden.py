"""Whole rendered reports of a made-up sweep. To accept a change, run with ``BNBENCH_UPDATE_GOLDEN=1``."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.reports import render, report
from bnbench.reports.view import Report

from .generator import make_sweep

GOLDEN = Path(__file__).parent / "golden"
FACTORS: dict[str, Sequence[Any]] = {
    "norm": ["batch", "group", "none"],
    "norm.groups": [4, 8],
    "batch_size": [4, 16, 64],
    "lr": [0.01, 0.03, 0.1, 0.3, 1.0],
    "seed": [0, 1, 2],
}


@pytest.fixture(scope="module")
def made_up() -> Report:
    runs, metrics = make_sweep(FACTORS, np.random.default_rng(1))
    for number, status in {7: "failed", 44: "out_of_memory", 100: "failed"}.items():
        runs.loc[runs.index[number], "status"] = status
        runs.loc[runs.index[number], ["val_accuracy", "test_accuracy"]] = math.nan
    edge = (runs["norm.groups"] == 8) & (runs["batch_size"] == 4) & (runs["lr"] == 1.0) & (runs["seed"] == 2)
    runs.loc[edge, ["status", "val_accuracy", "test_accuracy"]] = "diverged", math.nan, math.nan
    impossible = (runs["norm"] == "batch") & (runs["batch_size"] == 4) & (runs["lr"] == 1.0)
    runs.loc[impossible, "status"] = "impossible"
    return report(runs, metrics, baseline="norm=none")


@pytest.mark.parametrize(("format", "suffix"), [("terminal", "txt"), ("markdown", "md")])
@pytest.mark.parametrize("at", [0, 1, 2], ids=["convergence", "learning-rate", "small-batch"])
def test_rendered_reports(made_up: Report, at: int, format: str, suffix: str, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.removesuffix(f"-{format}-{suffix}")
    path = GOLDEN / f"{name}.{suffix}"
    text = render(replace(made_up, views=(made_up.views[at],)), format)
    if os.environ.get("BNBENCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
