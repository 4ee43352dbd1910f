"""``python -m benchmarks.gpu``: proves and times training on a GPU, in ten minutes at most."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.gpu.correctness import correctness
from benchmarks.gpu.forms import forms
from benchmarks.gpu.kernels import kernels
from benchmarks.gpu.machine import machine
from benchmarks.gpu.rows import Part, Row
from benchmarks.gpu.sharing import sharing
from benchmarks.gpu.sweeps import sweeps
from benchmarks.gpu.whole import whole
from bnbench.errors import described
from bnbench.training import prepare_process

PARTS: dict[str, tuple[Part, float]] = {
    "machine": (machine, 20.0),
    "correctness": (correctness, 90.0),
    "forms": (forms, 60.0),
    "sweeps": (sweeps, 150.0),
    "whole": (whole, 60.0),
    "kernels": (kernels, 60.0),
    "sharing": (sharing, 60.0),
}
"""What is done, and the seconds after which no further row of it is begun."""

WRONG = 1
"""Exit code where a row is wrong or failed."""


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="cuda, cuda:1, or cpu to try the program.")] = "cuda",
    smoke: Annotated[bool, typer.Option("--smoke", help="A few rows of each part.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="The rows as JSON.")] = None,
    scale: Annotated[float, typer.Option(help="Of the seconds that each part may take.")] = 1.0,
) -> None:
    """Print a Markdown table for each part; end with 1 if a number is wrong or a row failed."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        typer.echo("there is no GPU; --device cpu --smoke tries the program without one")
        raise typer.Exit(2)
    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose of {', '.join(PARTS)}", param_hint="--part")
    prepare_process()
    facts = {"device": _name(torch.device(device)), "torch": torch.__version__}
    found: dict[str, list[Row]] = {}
    for name in part or PARTS:
        function, seconds = PARTS[name]
        found[name] = []
        print(f"\n## {name}\n", flush=True)
        end, heads = time.monotonic() + seconds * scale, list[str]()
        for row in function(torch.device(device), smoke):
            try:
                values = row()
            except Exception as error:  # the other rows are worth having
                values = {"wrong": " ".join(described(error).split())[:300]}
            if list(values) != heads:
                heads = list(values)
                print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
            print(f"| {' | '.join(map(_text, values.values()))} |", flush=True)
            found[name].append(values)
            if out is not None:
                out.write_text(json.dumps({**facts, **found}, indent=1) + "\n")
            if time.monotonic() > end:
                print(f"\nno more rows: {seconds * scale:.0f} seconds are over")
                break
    wrong = [f"{name}: {row['wrong']}" for name, rows in found.items() for row in rows if row.get("wrong")]
    if wrong:
        print("\n" + "\n".join(f"WRONG: {line}" for line in wrong))
        raise typer.Exit(WRONG)


def _text(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    typer.run(main)
