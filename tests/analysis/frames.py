"""Small tables written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

DEFAULTS = {
    "status": "completed",
    "norm": "batch",
    "dataset": "digits",
    "batch_size": 64,
    "lr": 0.1,
    "seed": 0,
    "classes": 10,
    "steps_done": 1000,
    "val_accuracy": 0.9,
    "test_accuracy": 0.8,
}


def runs_of(*rows: Mapping[str, Any]) -> pd.DataFrame:
    """Runs with defaults; their run_id is their position."""
    return pd.DataFrame([{"run_id": f"r{number}", **DEFAULTS, **row} for number, row in enumerate(rows)])


def metrics_of(curves: Mapping[str, Sequence[float]], every: int = 100) -> pd.DataFrame:
    """One line per evaluation: ``every`` steps, one epoch and 64 * ``every`` examples apart."""
    lines = [
        {"run_id": run, "step": every * at, "epoch": float(at), "examples": 64 * every * at, "val_accuracy": value}
        for run, curve in curves.items()
        for at, value in enumerate(curve, start=1)
    ]
    return pd.DataFrame(lines, columns=["run_id", "step", "epoch", "examples", "val_accuracy"])
