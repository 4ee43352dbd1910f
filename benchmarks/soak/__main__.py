"""``python -m benchmarks.soak``: kill sweeps at random moments, ask again, and look for what is lost.

`make soak` runs it. Exit code 1 where a result was lost, doubled or changed, a reader saw half a row, or the tables are
not those of a sweep that nobody disturbed; with the seed that draws the same signals.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.soak import tables
from benchmarks.soak.kills import SIGNALS, VICTIMS
from benchmarks.soak.processes import adopt_orphans
from benchmarks.soak.sweeps import RUNS_PER_SEED, Request, Soak, soak

PER_SWEEP = 20


def main(
    kills: Annotated[int, typer.Option(min=1, help="Signals in all.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the signals of the first sweep; the next one has the next seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help=f"Seeds of a sweep, with {RUNS_PER_SEED} runs each.")] = 7,
    per_sweep: Annotated[int, typer.Option(min=1, help="Signals for a sweep at most.")] = PER_SWEEP,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep all in. Default: one that is removed.")] = None,
) -> None:
    """Disturb sweeps, runs trained alone and in stacks in turns, and compare each with an undisturbed one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and hands that on
    adopt_orphans()
    began, total, sweeps, looks, faults = time.monotonic(), Counter[tuple[str, str]](), 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        place = (keep or Path(scratch)).resolve()
        whole = {is_alone: _undisturbed(Request(is_alone, seeds), place) for is_alone in (True, False)}
        while total.total() < kills:
            request, number = Request((seed + sweeps) % 2 == 0, seeds), seed + sweeps
            folder = _new(place / f"sweep-{number}")
            story = soak(request, folder, min(per_sweep, kills - total.total()), number)
            found = [*story.faults, *tables.faults(story.sweep, whole[request.is_alone], request.is_alone)]
            total, sweeps, looks, faults = total + story.kills, sweeps + 1, looks + story.looks, faults + len(found)
            print(_line(story, number, total.total(), kills, time.monotonic() - began), flush=True)
            for fault in found:
                print(f"  WRONG: {fault}\n  again: python -m benchmarks.soak --seed {number} --kills {per_sweep}")
    print(f"\n{_table(total)}\n\n{sweeps} sweeps, {looks:,} looks at all tables, {faults} faults")
    raise typer.Exit(1 if faults else 0)


def _undisturbed(request: Request, place: Path) -> Path:
    """The folder of a sweep that nobody disturbs."""
    story = soak(request, _new(place / f"undisturbed-{'alone' if request.is_alone else 'stacks'}"), 0, 0)
    if story.faults:
        raise SystemExit(f"a sweep that nobody disturbed: {story.faults[0]}")
    return story.sweep


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _line(story: Soak, seed: int, kills: int, of: int, seconds: float) -> str:
    way = "runs alone" if story.request.is_alone else "stacks"
    counts = f"{story.kills.total()} signals, {story.calls} calls, {story.looks} looks"
    return f"seed {seed}, {way}: {counts}; {kills} of {of} signals, {seconds / 60:.1f} min"


def _table(total: Counter[tuple[str, str]]) -> str:
    """Markdown: signals by who got them."""
    rows = [
        f"| {number.name} | {' | '.join(str(total[number.name, victim]) for victim in VICTIMS)} |" for number in SIGNALS
    ]
    return "\n".join([f"| to | {' | '.join(VICTIMS)} |", f"|---|{'--:|' * len(VICTIMS)}", *rows])


if __name__ == "__main__":
    typer.run(main)
