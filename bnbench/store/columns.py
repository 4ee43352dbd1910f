"""The columns of the results folder; the spec's own columns stand between IDENTITY and OUTCOME in runs.csv."""

from __future__ import annotations

import re
from typing import Literal

Status = Literal[
    "planned", "running", "completed", "diverged", "stopped", "failed", "out_of_memory", "timed_out", "impossible",
    "interrupted"
]  # fmt: skip

RESULTS: frozenset[str] = frozenset({"completed", "diverged"})
"""Statuses that are a result: such a run is never trained again by a sweep."""

STOPPED = "stopped"
"""The status of a run that ended on purpose before its last epoch: at a rung of successive halving. It may go on."""

HELD_BACK: frozenset[str] = frozenset({"failed", "out_of_memory", "timed_out"})
"""Statuses of runs that came to an end of their own without a result: such a run is trained again only if asked to."""

FAILURES: frozenset[str] = HELD_BACK | {"impossible", "interrupted"}
"""Statuses that leave a hole in a sweep."""

RUN_ID = re.compile(r"[r0-9a-f][0-9a-f]{11}")
"""The run_ids of this version and of earlier ones."""

IDENTITY = ("run_id", "status", "error")

TRIAL = "trial"
"""The trial of a search that a run was planned for; behind the spec's columns, of sweeps that were searched alone."""

OUTCOME = (
    "engine", "engine_reason", "lanes", "device", "steps_done", "epochs_done", "examples_done",
    "train_loss", "train_accuracy", "val_loss", "val_accuracy", "best_val_accuracy", "test_loss", "test_accuracy",
    "diverged_step", "classes", "parameters", "seconds", "started_at", "finished_at",
    "host", "version", "torch", "git_commit",
)  # fmt: skip

NEWER = frozenset({"engine_reason"})
"""Columns of OUTCOME that earlier versions did not write."""

METRICS = (
    "run_id", "step", "epoch", "examples", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
)  # fmt: skip

PROBES = ("run_id", "step", "probe", "layer", "name", "value")

SPEC = (
    "norm", "model", "dataset", "optim", "schedule", "batch_size", "lr", "lr_scaling", "lr_reference_batch", "epochs",
    "steps", "seed", "split.seed", "split.validation", "split.test", "split.train", "drop_last", "grad_clip",
    "label_smoothing", "precision", "evaluate.every", "evaluate.unit", "evaluate.statistics",
    "evaluate.recompute_batches", "divergence_factor",
)  # fmt: skip
"""The spec's columns that every version has written."""

SEGMENT = (*IDENTITY, *OUTCOME)

OUTCOME_TEXTS = (
    "engine",
    "engine_reason",
    "device",
    "started_at",
    "finished_at",
    "host",
    "version",
    "torch",
    "git_commit",
)

SPEC_TEXTS = (
    "norm", "model", "dataset", "optim", "schedule",
    "lr_scaling", "domains", "batches", "train", "precision", "evaluate.unit", "evaluate.statistics",
    "probes", "plugin", "data",
)  # fmt: skip
"""The spec's columns that hold text whatever it looks like; the type of all others is inferred."""

RUN_TYPES = {
    **dict.fromkeys((*IDENTITY, *SPEC_TEXTS, *OUTCOME_TEXTS), "str"),
    **{column: "float64" for column in OUTCOME if column not in OUTCOME_TEXTS},
    TRIAL: "float64",
}

METRIC_TYPES = {**dict.fromkeys(METRICS, "float64"), "run_id": "str", "step": "int64", "examples": "int64"}

PROBE_TYPES = {**dict.fromkeys(PROBES, "str"), "step": "int64", "value": "float64"}
