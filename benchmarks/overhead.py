"""``python -m benchmarks.overhead``: what a run costs beside its training, from sweeps of runs that take hardly any.

A run is an epoch of the MLP on the digits: steps in compiled code and two evaluations.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

FACTORS = (
    *("model=mlp", "dataset=digits", "norm=none,batch", "batch_size=128", "epochs=1"),
    "lr=choice(0.003,0.01,0.03,0.1,0.3)",
)
CELLS = 10
"""Runs of each seed."""


def main(
    runs: Annotated[list[int] | None, typer.Option(help="Sizes of sweeps, repeatable; multiples of 10.")] = None,
) -> None:
    """Plan sweeps of several sizes, train them, ask for each again, and print what a further run costs."""
    sizes = sorted(runs or [100, 1_000, 10_000])
    print("| runs | dry run | seconds | a further run | asked again | load |\n|--:|--:|--:|--:|--:|--:|")
    before: tuple[int, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            planned, trained, again = (sweep(size, Path(folder), *words) for words in (("--dry-run",), (), ()))
            further = "-" if before is None else f"{(trained - before[1]) / (size - before[0]) * 1e6:,.0f} us"
            row = f"{planned:.1f} s | {trained:.1f} | {further} | {again:.1f} s | {os.getloadavg()[0]:.1f}"
            print(f"| {size:,} | {row} |", flush=True)
            before = size, trained


def sweep(runs: int, results: Path, *options: str) -> float:
    """Seconds of the command of a sweep of so many runs; what is in the folder of results is not trained again."""
    words = ["sweep", "--name", f"runs{runs}", *options, *FACTORS, f"seed=range({runs // CELLS})"]
    command = [sys.executable, "-c", "from bnbench.cli.app import main; main()", *words]
    start = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "BNBENCH_RESULTS": str(results)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
