"""``python -m benchmarks.launchers``: one sweep by worker processes, and by a Ray cluster that begins on this machine.

Two workers train each run alone (``--lanes off``): what is compared is how runs are given out and collected.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

LAUNCHERS = ("local", "ray")
SWEEP = ("model=mlp", "dataset=digits", "norm=batch,group", "lr=0.03,0.1,0.3", "seed=range(4)", "batch_size=32")
"""24 runs."""


def main(
    epochs: Annotated[int, typer.Option(help="Of each run.")] = 420,
    rounds: Annotated[int, typer.Option(help="How often everything is measured, in turns.")] = 1,
) -> None:
    """Print the seconds of both, start and end included, and their ratio."""
    seconds: dict[str, list[float]] = {name: [] for name in LAUNCHERS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name in LAUNCHERS:
                seconds[name].append(sweep(name, epochs, Path(folder, f"{name}-{number}")))
    local, ray = (statistics.median(seconds[name]) for name in LAUNCHERS)
    print(
        f"| runs | local s | ray s | ratio |\n|--:|--:|--:|--:|\n| 24 | {local:.1f} | {ray:.1f} | {ray / local:.2f}x |"
    )


def sweep(launcher: str, epochs: int, results: Path) -> float:
    """Seconds of the command of a sweep, with two workers."""
    options = ["--launcher", launcher, "--lanes", "off", "--jobs", "2", "--results", str(results)]
    start = time.perf_counter()
    command = [sys.executable, "-m", "bnbench", "sweep", *options, *SWEEP, f"epochs={epochs}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
