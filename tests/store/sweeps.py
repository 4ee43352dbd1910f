"""Runs whose every written number follows from their seed, so that any reading can be checked to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bnbench.spec import Adam, Choice, Constant, Evaluate, RunSpec, Sgd, Split, run_id
from bnbench.store import Segment
from bnbench.store.columns import METRICS, PROBES

EVALUATIONS = 3

FACTS: dict[str, Any] = {
    "engine": "reference",
    "lanes": 1,
    "device": "cpu",
    "started_at": "2026-01-01T00:00:00.000+00:00",
    "host": "10",
    "version": "0.1",
    "torch": "2.9",
    "git_commit": "012345678901",
}


def make_spec(seed: int, norm: str = "none", **options: Any) -> RunSpec:
    return RunSpec(
        norm=Choice.of(norm, options),
        model=Choice.of("mlp", {"depth": 3, "width": 100}),
        dataset=Choice.of("digits"),
        optim=Sgd(0.9, False, 5e-4, True, True) if seed % 2 else Adam(0.9, 0.999, 1e-8, 0.0, False, False),
        schedule=Constant(0.0),
        batch_size=64,
        lr=0.003,
        lr_scaling="none",
        lr_reference_batch=256,
        epochs=10,
        steps=None,
        seed=seed,
        split=Split(0, 0.1, 0.1, None),
        domains=(),
        batches="shuffled",
        train="all",
        freeze_statistics=None,
        drop_last=False,
        grad_clip=None,
        label_smoothing=0.0,
        precision="fp32",
        evaluate=Evaluate(1, "epochs", "running", 10),
        divergence_factor=10.0,
        probes=(),
        probe_every=1,
    )


def evaluations(spec: RunSpec) -> list[dict[str, Any]]:
    """The metric rows of a run."""
    return [
        {"run_id": run_id(spec), "step": step, "examples": 64 * step}
        | {column: 1 / (7 * step + index + spec.seed) for index, column in enumerate(METRICS[4:], 1)}
        | {"epoch": step / 3}
        for step in range(1, EVALUATIONS + 1)
    ]


def readings(spec: RunSpec) -> list[dict[str, Any]]:
    """The rows of a run's probes; one layer has a name that must be quoted."""
    return [
        {"run_id": run_id(spec), "step": step, "probe": "landscape", "layer": layer, "name": name}
        | {"value": (spec.seed + 1) / (5 * step + len(layer))}
        for step in range(EVALUATIONS + 1)
        for layer, name in (("network", "loss"), ('a,"b"', "loss"))
    ]


def final(spec: RunSpec, status: str = "completed", second: int = 1, **columns: Any) -> dict[str, Any]:
    """The final row of a run."""
    outcome = {"test_accuracy": 1 / (spec.seed + 3)} if status == "completed" else {"error": "Boom: of course"}
    times = {"finished_at": f"2026-01-01T00:00:{second:02d}.000+00:00"}
    return {"run_id": run_id(spec), "status": status, **FACTS, **outcome, **times, **columns}


def train(folder: Path, spec: RunSpec, name: str, status: str = "completed", second: int = 1, token: str = "") -> None:
    """Write a run as a worker does; ``running`` leaves it unfinished."""
    with Segment(folder, name, token=token) as segment:
        segment.start([spec], FACTS)
        segment.readings(readings(spec)[:2])
        for number, row in enumerate(evaluations(spec), 1):
            segment.evaluation([row])
            segment.readings(readings(spec)[2 * number : 2 * number + 2])
        if status != "running":
            segment.finish([final(spec, status, second)])


def expected_metrics(specs: list[RunSpec]) -> pd.DataFrame:
    """What metrics hold once these runs are finished, sorted by run and step."""
    rows = [row for spec in specs for row in evaluations(spec)]
    return pd.DataFrame(rows, columns=METRICS).sort_values(["run_id", "step"], ignore_index=True)


def expected_probes(specs: list[RunSpec]) -> pd.DataFrame:
    """What probes hold once these runs are finished, by run and step."""
    rows = [row for spec in sorted(specs, key=run_id) for row in readings(spec)]
    return pd.DataFrame(rows, columns=PROBES)
