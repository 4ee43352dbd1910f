"""The forms in which runs are exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bnbench.exports.csv_tables import write_tables
from bnbench.exports.mlflow_store import write_mlflow
from bnbench.exports.specs import write_specs
from bnbench.exports.tensorboard_events import write_events
from bnbench.exports.wandb_runs import write_wandb
from bnbench.store import SingleRun

Form = Callable[[Sequence[SingleRun], Path], list[str]]
"""Writes runs of one sweep into a folder that is there; returns what is to be said of it.

Raises:
    InvalidRequest: another program's library is missing; nothing is written then.
"""

FORMS: dict[str, Form] = {
    "spec": write_specs,
    "csv": write_tables,
    "tensorboard": write_events,
    "mlflow": write_mlflow,
    "wandb": write_wandb,
}
