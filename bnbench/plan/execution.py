"""The way in which runs are trained: engine, lanes, and why by no engine that is faster. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["reference", "stacked", "native", "interleaved"]


NOT_READY = "compiled code was not ready"
"""The reason for which torch trains what compiled code may train a little later."""


@dataclass(frozen=True)
class Execution:
    """The way in which runs with one stack key are trained.

    Attributes:
        engine: ``reference`` one by one; ``stacked`` as one network; ``native`` as one network, in compiled code;
            ``interleaved`` each on its own, in turns.
        lanes: the most runs that are trained as one network.
        splits: the most splits of the data that they may have; None for any.
        reasons: why not by an engine that is faster, or not by more lanes.
    """

    engine: Engine = "reference"
    lanes: int = 1
    reasons: tuple[str, ...] = ()
    splits: int | None = None

    @property
    def is_unready(self) -> bool:
        """True if compiled code may train the runs once it is there."""
        return NOT_READY in self.reasons


ALONE = Execution()


@dataclass(frozen=True)
class Division:
    """Some runs divided into stacks, and the sizes of these.

    Attributes:
        executions: by stack key.
        sizes: by stack key, seconds that torch takes for a run alone, roughly.
    """

    executions: dict[str, Execution]
    sizes: dict[str, float]

    def add(self, other: Division) -> None:
        """Take in a division of others, or of some of these anew."""
        self.executions.update(other.executions)
        self.sizes.update(other.sizes)
