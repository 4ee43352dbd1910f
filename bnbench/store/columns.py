"""The columns of the results folder; the spec's own columns stand between IDENTITY and OUTCOME in runs.csv."""

from __future__ import annotations

from typing import Literal

Status = Literal["planned", "running", "completed", "diverged", "failed", "out_of_memory", "impossible", "interrupted"]

RESULTS: frozenset[str] = frozenset({"completed", "diverged"})
"""Statuses that are a result: such a run is never trained again by a sweep."""

FAILURES: frozenset[str] = frozenset({"failed", "out_of_memory", "impossible", "interrupted"})
"""Statuses that leave a hole in a sweep."""

IDENTITY = ("run_id", "status", "error")

OUTCOME = (
    "engine", "lanes", "device", "steps_done", "epochs_done", "examples_done",
    "train_loss", "train_accuracy", "val_loss", "val_accuracy", "best_val_accuracy", "test_loss", "test_accuracy",
    "diverged_step", "classes", "parameters", "seconds", "started_at", "finished_at",
    "host", "version", "torch", "git_commit",
)  # fmt: skip

METRICS = (
    "run_id", "step", "epoch", "examples", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
)  # fmt: skip

SEGMENT = (*IDENTITY, *OUTCOME)
