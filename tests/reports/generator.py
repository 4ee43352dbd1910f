"""Made-up sweeps: a seeded generator of run and metric tables that look like a results folder's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

ARM = {
    "none": {},
    "batch": {"norm.eps": 1e-5, "norm.momentum": 0.1, "norm.affine": "both"},
    "group": {"norm.eps": 1e-5, "norm.groups": 8, "norm.affine": "both"},
}
CONSTANT = {
    "model": "cnn",
    "model.depth": 3,
    "dataset": "digits",
    "optim": "sgd",
    "optim.momentum": 0.9,
    "schedule": "constant",
    "schedule.warmup": 0.0,
    "lr_scaling": "none",
    "epochs": 10,
    "steps": None,
    "split.seed": 0,
    "evaluate.unit": "epochs",
    "precision": "fp32",
    "plugin": None,
}
TRAIN_EXAMPLES = 1280


def make_sweep(
    factors: Mapping[str, Sequence[Any]], random: np.random.Generator, evaluations: int = 10
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All combinations of the factors; how well a run does depends on its norm, batch size and learning rate."""
    runs, metrics = [], []
    for number, values in enumerate(itertools.product(*factors.values())):
        chosen = dict(zip(factors, values, strict=True))
        norm = chosen.get("norm", "batch")
        options = {key: value for key, value in chosen.items() if "." not in key or key in ARM[norm] or key in CONSTANT}
        spec = {**CONSTANT, "norm": norm, **ARM[norm], "batch_size": 64, "lr": 0.1, "seed": 0, **options}
        curve, diverged = _curve(spec, random, evaluations)
        run, lines = _tables(f"{number:012x}", spec, curve, diverged, evaluations)
        runs.append(run)
        metrics.extend(lines)
    return pd.DataFrame(runs).drop_duplicates(["norm", *factors]), pd.DataFrame(metrics)


def _curve(spec: Mapping[str, Any], random: np.random.Generator, evaluations: int) -> tuple[list[float], bool]:
    norm, lr, batch = spec["norm"], spec["lr"], spec["batch_size"]
    limit = {"none": 0.2, "batch": 3.0, "group": 1.5}[norm]
    top = {"none": 0.93, "batch": 0.975, "group": 0.968}[norm] - (0.6 / batch if norm == "batch" else 0.1 / batch)
    speed = {"none": 0.5, "batch": 1.6, "group": 1.2}[norm] * 10 * lr / (1 + 3 * lr)
    noise = random.normal(0, 0.004, evaluations + 1)
    diverged = lr > limit * math.exp(random.normal(0, 0.3))
    share = np.arange(1, evaluations + 1) / evaluations
    curve = 0.1 + (top - 0.1) * (1 - np.exp(-6 * speed * share)) + noise[:-1]
    return [float(round(min(value, 1.0), 4)) for value in curve], bool(diverged)


def _tables(
    run_id: str, spec: Mapping[str, Any], curve: list[float], diverged: bool, evaluations: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    per_epoch = TRAIN_EXAMPLES // spec["batch_size"]
    kept = curve[: evaluations // 5] if diverged else curve
    outcome = {
        "run_id": run_id,
        "status": "diverged" if diverged else "completed",
        "error": "",
        **spec,
        "steps_done": per_epoch * len(kept),
        "val_accuracy": math.nan if diverged else kept[-1],
        "test_accuracy": math.nan if diverged else round(kept[-1] - 0.005, 4),
        "classes": 10,
        "seconds": 1.5,
        "host": "here",
    }
    lines = [
        {
            "run_id": run_id,
            "step": per_epoch * (at + 1),
            "epoch": float(at + 1),
            "examples": TRAIN_EXAMPLES * (at + 1),
            "lr": spec["lr"],
            "val_accuracy": value,
        }
        for at, value in enumerate(kept)
    ]
    return outcome, lines
