"""A made-up sweep and its report."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bnbench.reports import Report, report

from .generator import make_sweep

FACTORS: dict[str, Sequence[Any]] = {
    "norm": ["batch", "group", "none"],
    "norm.groups": [4, 8],
    "batch_size": [4, 16, 64],
    "lr": [0.01, 0.03, 0.1, 0.3, 1.0],
    "seed": [0, 1, 2],
}


@pytest.fixture(scope="session")
def made_up() -> Report:
    """The report of a made-up sweep in which some runs failed, diverged or were impossible."""
    runs, metrics = make_sweep(FACTORS, np.random.default_rng(1))
    for number, status in {7: "failed", 44: "out_of_memory", 100: "failed"}.items():
        runs.loc[runs.index[number], "status"] = status
        runs.loc[runs.index[number], ["val_accuracy", "test_accuracy"]] = math.nan
    edge = (runs["norm.groups"] == 8) & (runs["batch_size"] == 4) & (runs["lr"] == 1.0) & (runs["seed"] == 2)
    runs.loc[edge, ["status", "val_accuracy", "test_accuracy"]] = "diverged", math.nan, math.nan
    impossible = (runs["norm"] == "batch") & (runs["batch_size"] == 4) & (runs["lr"] == 1.0)
    runs.loc[impossible, "status"] = "impossible"
    return report(runs, metrics, baseline="norm=none")
