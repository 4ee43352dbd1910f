"""``python -m benchmarks``: bnbench beside its peers, in turns, on the same work."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cells import BATCH_SIZES, WORKLOADS, write_images
from benchmarks.floor import floor
from benchmarks.measure import PEERS, Case, ours, peer
from benchmarks.table import Measured, table


def main(
    cells: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(WORKLOADS)}; repeatable.")] = None,
    peers: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PEERS)}; repeatable.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Batch sizes; repeatable.")] = None,
    rounds: Annotated[int, typer.Option(help="How often everything is measured, in turns.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A few cells, once: about three minutes.")] = False,
    data: Annotated[Path, typer.Option(help="Where MNIST is, and CIFAR-10 as images in cifar10_jpeg.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="The times as JSON.")] = Path("benchmarks/results.json"),
) -> None:
    """Measure and print a table of ratios: how many times as long as bnbench a peer takes for the same sweep."""
    names = cells or (["digits-mlp", "digits-cnn"] if quick else list(WORKLOADS))
    against = peers or (["plain", "in_memory"] if quick else list(PEERS))
    sizes = batch or ([8, 32] if quick else list(BATCH_SIZES))
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in names:
            mine, theirs, source = write_images(WORKLOADS[name], data, folder)
            for size in sizes:
                case = Case(WORKLOADS[name], size, mine, theirs)
                measured.append(_measure(name, case, source, against, 1 if quick else rounds, folder))
                print(table(measured[-1:]).splitlines()[2], flush=True)
                out.write_text(json.dumps([asdict(cell) for cell in measured], indent=1) + "\n")
    print("\n" + table(measured))


def _measure(name: str, case: Case, source: str, peers: list[str], rounds: int, folder: Path) -> Measured:
    sweeps, seconds = [], {peer_name: list[float]() for peer_name in ("bnbench", *peers)}
    for _ in range(rounds):
        sweeps.append(ours(case, folder))
        seconds["bnbench"].append(sweeps[-1].seconds)
        for peer_name in peers:
            seconds[peer_name].append(peer(peer_name, case, folder))
    lanes, peak = max(sweep.lanes for sweep in sweeps), max(sweep.peak_bytes for sweep in sweeps)
    return Measured(name, case.batch_size, case.runs, source, seconds, floor(case), lanes, peak)


if __name__ == "__main__":
    typer.run(main)
