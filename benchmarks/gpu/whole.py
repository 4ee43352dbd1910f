"""``bnbench sweep`` from the command line to the end of a table, beside a plain script's time for the same runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from benchmarks.cells import LEARNING_RATES, MOMENTUM, WORKLOADS, Job, overrides, write_images
from benchmarks.gpu.rows import Row, Rows
from benchmarks.peers import plain

CELLS = (("digits-mlp", 32), ("mnist-cnn", 32), ("digits-mlp", 2), ("cifar-resnet20", 32))
"""Workloads and batch sizes."""


def whole(device: torch.device, smoke: bool) -> Rows:
    """A row for each cell: seconds of the sweep, of the script, and how many runs were completed."""
    for name, batch_size in CELLS[:1] if smoke else CELLS:
        yield partial(_timed, name, batch_size, device, smoke)


def _timed(name: str, batch_size: int, device: torch.device, smoke: bool) -> Row:
    workload = replace(WORKLOADS[name], augment=False, seeds=1 if smoke else 10)
    if smoke:
        workload = replace(workload, epochs=2)
    with tempfile.TemporaryDirectory() as scratch:
        mine, theirs, _ = write_images(workload, Path("data"), Path(scratch))
        words = [*overrides(workload, batch_size, mine), f"device={device}", "--name", "whole", "--results", scratch]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bnbench", "sweep", *words],
            capture_output=True, text=True, check=False, env={**os.environ, "XDG_CACHE_HOME": f"{scratch}/cache"},
        )  # fmt: skip
        taken = time.perf_counter() - start
        runs = workload.seeds * len(LEARNING_RATES)
        row: Row = {"cell": name, "batch": batch_size, "runs": runs, "s": taken}
        if done.returncode:
            return {**row, "wrong": f"ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}"}
        table = pd.read_csv(next(_found(Path(scratch), "runs.csv")))
        completed = int((table["status"] == "completed").sum())
        measured = min(2, workload.epochs)
        rate = LEARNING_RATES[0]
        job = Job(
            str(theirs),
            workload.model,
            batch_size,
            rate,
            MOMENTUM,
            False,
            workload.epochs,
            measured,
            device=str(device),
        )
        script = plain.train(job).epochs[-1] * workload.epochs * runs
        engines = ", ".join(f"{count} {engine}" for engine, count in table["engine"].value_counts().items())
        row |= {
            "engines": engines,
            "accuracy": float(table["best_val_accuracy"].mean()),
            "s plain": script,
            "x": script / taken,
        }
        return row if completed == runs else {**row, "wrong": f"{completed} runs completed"}


def _found(folder: Path, name: str) -> Iterator[Path]:
    return (path for path in folder.rglob(name))
