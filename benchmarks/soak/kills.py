"""The signals that a program and its processes get: to whom, which and when, drawn from a seed."""

from __future__ import annotations

import math
import random
import signal
from dataclasses import dataclass
from typing import Literal

from benchmarks.soak.processes import Members

Victim = Literal["worker", "fork server", "program", "all"]
VICTIMS: dict[Victim, float] = {"worker": 0.3, "fork server": 0.15, "program": 0.3, "all": 0.25}
"""How often each is chosen; ``all`` are the program and every process below it at once."""
SIGNALS = {signal.SIGKILL: 0.5, signal.SIGTERM: 0.25, signal.SIGINT: 0.25}
SHORTEST, LONGEST = 0.01, 5.0
"""Seconds, between which moments are drawn log-uniformly; a small sweep has its end before."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A signal to come.

    Attributes:
        victim: who gets it; a worker is one of several, by ``luck``.
        number: the signal.
        delay: seconds from the program's start or the kill before.
        trains: the delay counts from the moment when workers have begun to write.
        luck: from 0 to 1.
    """

    victim: Victim
    number: signal.Signals
    delay: float
    trains: bool
    luck: float

    def targets(self, there: Members) -> tuple[int, ...]:
        """The processes that get it now; none while the victim is not there."""
        match self.victim:
            case "worker":
                return (there.workers[int(self.luck * len(there.workers))],) if there.workers else ()
            case "fork server":
                return there.fork_servers
            case "program":
                return there.program
            case "all":
                return there.all

    def __str__(self) -> str:
        return f"{self.number.name} to {self.victim} {self.delay:.2f} s after {'training' if self.trains else 'start'}"


def draw(chance: random.Random, longest: float = LONGEST) -> Kill:
    """Draw one, whose delay is ``longest`` seconds at most."""
    (victim,) = chance.choices(list(VICTIMS), list(VICTIMS.values()))
    (number,) = chance.choices(list(SIGNALS), list(SIGNALS.values()))
    delay = math.exp(chance.uniform(math.log(SHORTEST), math.log(longest)))
    return Kill(victim, number, delay, chance.random() < 0.5, chance.random())
