"""The resources that train runs. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bnbench.devices import CPU, Device


@dataclass(frozen=True)
class Resources:
    """The resources that train runs: the options of a user as a plan makes them definite.

    Attributes:
        workers: processes that train at a time; on GPUs they share their memory.
        lanes: runs trained as one network at most; None lets the size of a network's activations decide, or a few
            measured steps.
        device: where they are trained.
        known: without lanes, the most runs trained together, by stack key, as it was found before.
        compiles: whether to wait for compilers; else only code that is there trains.
    """

    workers: int = 1
    lanes: int | None = None
    device: Device = CPU
    known: Mapping[str, int] = field(default_factory=dict)
    compiles: bool = True

    def side_by_side(self, devices: int) -> int:
        """The runs on so many devices each that train at a time."""
        return max(1, self.workers // devices)
