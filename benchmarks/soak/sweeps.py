"""A sweep that is disturbed and asked again until it is finished."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak.kills import LONGEST, Kill, draw
from benchmarks.soak.processes import command_line, living, members, reap, send
from benchmarks.soak.watcher import Watcher
from bnbench import store

NAME = "soaked"
PLUGIN = Path(__file__).parents[1] / "planted_norms.py"
SETTINGS = (
    "model=mlp", "model.width=16", "norm=none,batch,layer,rms,blunt", "grad_clip=null,1", "lr=0.003,0.01,1e9",
    "epochs=1", "evaluate.every=8", "evaluate.unit=steps", "probes=[gradient_flow]", "probe_every=8",
)  # fmt: skip
"""Runs that complete or diverge, in compiled code and by torch's, which alone knows clipped gradients."""
RUNS_PER_SEED = 30
PATIENCE = 300.0
"""Seconds that a program may take in which nobody disturbs it."""
GRACE = 15.0
"""Seconds that processes have to notice that their program has ended."""
MOST_CALLS = 6
"""Calls that nobody disturbs, after which a sweep must be finished."""
OUTPUT = 1000
"""Characters of what the program said last."""
POLL = 0.005
REFUSED = 2
KILLED = "importing it failed: the worker process was ended by SIG"
"""What a program says, truly, of a plugin if signals end the processes that import it, twice in a row."""
BEGUN = re.compile(r'^  File "(?!<frozen ).*, in main$', re.MULTILINE)
"""The first function of the program in a traceback; the interpreter's ``site`` has one of the same name."""
TRACEBACK = re.compile(r"^Traceback.*\n(?:(?:[ ].*)?\n)*.*", re.MULTILINE)
"""One has an empty line where a call was interrupted before its first instruction."""

Start = Callable[..., "subprocess.Popen[Any]"]


@dataclass(frozen=True)
class Request:
    """A sweep to be asked for.

    Attributes:
        is_alone: each run is trained alone; else in stacks, which write a checkpoint at each evaluation.
        seeds: there are :data:`RUNS_PER_SEED` runs of each.
        longest: seconds from one signal to the next, or to the end of a wait for training.
        start: as ``subprocess.Popen``.
    """

    is_alone: bool
    seeds: int
    longest: float = LONGEST
    start: Start = subprocess.Popen

    @property
    def words(self) -> list[str]:
        """The command."""
        way = ["--lanes", "off"] if self.is_alone else ["--checkpoint-every", "0.001s"]
        options = ["--name", NAME, "--jobs", "2", "--retry-failed", "--plugin", str(PLUGIN), *way]
        return [sys.executable, "-m", "bnbench", "sweep", *options, *SETTINGS, f"seed=range({self.seeds})"]


@dataclass
class Soak:
    """The story of a disturbed sweep.

    Attributes:
        folder: where the program is called; its output is in ``output.txt`` there.
        kills: how often a signal reached someone, by signal and by who got it.
        calls: how often the program was called.
        looks: how often all tables were read meanwhile.
        faults: what was wrong, in words.
    """

    request: Request
    folder: Path
    strangers: frozenset[int]
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: int = 0
    looks: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sweep(self) -> Path:
        """The sweep's folder."""
        return self.folder / "results" / NAME

    def is_finished(self) -> bool:
        """True once all runs have a result, in the tables."""
        if not store.is_sweep(self.sweep) or (self.sweep / "segments").exists():
            return False
        statuses = list(store.statuses(self.sweep).values())
        return len(statuses) == RUNS_PER_SEED * self.request.seeds and set(statuses) <= store.RESULTS

    def call(self) -> subprocess.Popen[Any]:
        """Call the program."""
        self.calls += 1
        with (self.folder / "output.txt").open("ab") as output:
            return self.request.start(self.request.words, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)

    def strike(self, program: subprocess.Popen[Any], kill: Kill) -> bool:
        """Wait for the moment of a kill and send it; False if the program has ended before."""
        since, deadline = time.monotonic(), time.monotonic() + PATIENCE
        is_waiting = kill.trains
        while program.poll() is None and time.monotonic() < deadline:
            if is_waiting and any((self.sweep / "segments").glob("*")):
                is_waiting, since = False, time.monotonic()
            if not is_waiting and time.monotonic() >= since + kill.delay:
                there = members(program.pid)
                if send(kill.targets(there), kill.number):
                    self.kills[kill.number.name, kill.victim] += 1
                    return True
            time.sleep(POLL)
        return False

    def wait(self, program: subprocess.Popen[Any]) -> None:
        """Wait for the program's end, and take in how it was."""
        try:
            code = program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.faults.append(f"call {self.calls} did not end in {PATIENCE:g} s")
            self.end()
            code = program.wait()
        if code in (0, 1, 130) or code < 0:
            return
        said = " ".join((self.folder / "output.txt").read_text(errors="replace").splitlines()[-3:])
        if code != REFUSED or not self.kills or KILLED not in said:
            self.faults.append(f"call {self.calls} ended with exit code {code}: {said}")

    def end(self) -> None:
        """Kill what is still there."""
        while there := living(self.strangers):
            send(tuple(there), signal.SIGKILL)
            reap(there)
            time.sleep(POLL)

    def look_for_survivors(self) -> None:
        """Wait for what the last programs have left behind; workers end by themselves when theirs has ended."""
        deadline = time.monotonic() + GRACE
        while (there := living(self.strangers)) and time.monotonic() < deadline:
            time.sleep(POLL)
        if there:
            self.faults.append(f"processes live on: {', '.join(map(command_line, sorted(there)))}")
            self.end()


def soak(request: Request, folder: Path, kills: int, seed: int) -> Soak:
    """Ask for a sweep, disturb it up to so many times, and ask again until it is finished.

    Args:
        folder: an empty one.
        kills: signals at most; without any, nobody reads meanwhile.
        seed: of the signals.
    """
    story, chance = Soak(request, folder, frozenset(living())), random.Random(seed)
    watcher = Watcher(story.sweep)
    try:
        with watcher if kills else nullcontext():
            _disturb(story, kills, chance)
    finally:
        story.end()
    watcher.look()
    story.looks, story.faults = watcher.looks, story.faults + watcher.faults
    return story


def _disturb(story: Soak, kills: int, chance: random.Random) -> None:
    program, kill = story.call(), draw(chance, story.request.longest)
    while story.kills.total() < kills and not (program.poll() is not None and story.is_finished()):
        if program.poll() is not None:
            story.wait(program)
            program = story.call()
        if story.strike(program, kill):
            kill = draw(chance, story.request.longest)
    _finish(story, program)


def _finish(story: Soak, program: subprocess.Popen[Any]) -> None:
    """Let the sweep come to its end."""
    for _ in range(MOST_CALLS):
        story.wait(program)
        if story.is_finished():
            break
        program = story.call()
    else:
        story.wait(program)
        said = (story.folder / "output.txt").read_text(errors="replace")[-OUTPUT:]
        story.faults.append(f"it is not finished after {MOST_CALLS} calls that nobody disturbed: {said}")
    story.look_for_survivors()
    output = (story.folder / "output.txt").read_text(errors="replace")
    story.faults += [f"a traceback: {trace}" for trace in tracebacks(output)]


def tracebacks(output: str) -> list[str]:
    """Those in what a program said, but for that of an interpreter which was interrupted before its first line."""
    return [trace for trace in TRACEBACK.findall(output) if not _is_before_program(trace)]


def _is_before_program(trace: str) -> bool:
    """True for the traceback of an interpreter that Ctrl-C reached before the first line of the program."""
    return trace.endswith("KeyboardInterrupt") and not BEGUN.search(trace)
