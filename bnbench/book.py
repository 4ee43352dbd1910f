"""The rows of an attempt at some runs, and what a checkpoint keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bnbench.checkpointing import Earlier
from bnbench.environment import timestamp
from bnbench.errors import lacks_memory
from bnbench.spec import RunSpec
from bnbench.store import Segment
from bnbench.tasks import End
from bnbench.text import duration
from bnbench.training.saving import Snapshot


@dataclass
class Book:
    """What is written of an attempt.

    Attributes:
        facts: columns that are equal for all its runs.
        ids: the run_id of each of its runs, found once.
        waits: results are written at the end only: those of compiled code count once all has stood the comparisons.
        snapshot: from which training goes on; None begins it.
        ended: the runs with a result.
        seconds: that each run has taken so far.
    """

    segment: Segment
    facts: dict[str, Any]
    ids: dict[RunSpec, str]
    waits: bool
    snapshot: Snapshot | None = None
    ended: dict[RunSpec, End] = field(default_factory=dict)
    seconds: dict[RunSpec, float] = field(default_factory=dict)
    _results: list[dict[str, Any]] = field(default_factory=list)

    def go_on(self, earlier: Earlier) -> None:
        """Take over all that an interrupted attempt at these runs had measured."""
        self.snapshot = earlier.snapshot
        self.segment.restore_series(earlier.series)
        self._results += [dict(row) for row in earlier.results]
        by_id = {identity: spec for spec, identity in self.ids.items()}
        self.ended |= {by_id[row["run_id"]]: End(by_id[row["run_id"]], row["status"]) for row in self._results}
        self.seconds |= {spec: earlier.seconds[identity] for identity, spec in by_id.items()}

    def aside(self) -> dict[str, Any]:
        """All of it that a checkpoint keeps beside the state of training, but for what the segment has."""
        seconds = {self.ids[spec]: seconds for spec, seconds in self.seconds.items()}
        facts = {name: self.facts[name] for name in ("lanes", "engine_reason", "started_at")}
        return {"results": self._results, "seconds": seconds, "facts": facts}

    def write(self, rows: Sequence[tuple[RunSpec, dict[str, Any]]]) -> None:
        """Write rows, each to the table that it is of."""
        final = [(spec, row) for spec, row in rows if "status" in row]
        readings = [{"run_id": self.ids[spec], **row} for spec, row in rows if "probe" in row]
        others = [{"run_id": self.ids[spec], **row} for spec, row in rows if not {"status", "probe"} & row.keys()]
        self.segment.readings(readings)
        self.segment.evaluation(others)
        self._results += [
            {"run_id": self.ids[spec], **self.facts, **row, "finished_at": timestamp()} for spec, row in final
        ]
        self.ended |= {spec: End(spec, row["status"]) for spec, row in final}
        if not self.waits:
            self.close()

    def fail(self, spec: RunSpec, status: str, message: str, log: str) -> None:
        """Write the failure of a run, with a traceback under logs/."""
        self.segment.log(self.ids[spec], log)
        row = {"status": status, "error": message, "finished_at": timestamp()}
        self._results.append({"run_id": self.ids[spec], **self.facts, **row})
        self.ended[spec] = End(spec, status, message)

    def end_late(self, limit: float) -> bool:
        """End all living runs if they have trained for longer than so many seconds, which is the same for all."""
        if limit >= max(self.seconds.values()):
            return False
        living = [spec for spec in self.seconds if spec not in self.ended]
        if not any(self.seconds[spec] > limit for spec in living):
            return False
        for spec in living:
            message = f"trained for {duration(self.seconds[spec])}, longer than {duration(limit)} (--timeout)"
            self.segment.log(self.ids[spec], f"{message}\n")
            row = {"status": "timed_out", "error": message, "seconds": round(self.seconds[spec], 4)}
            self._results.append({"run_id": self.ids[spec], **self.facts, **row, "finished_at": timestamp()})
            self.ended[spec] = End(spec, "timed_out", message)
        return True

    def close(self) -> None:
        """Write the results that have waited."""
        if self._results:
            self.segment.finish(self._results)
            self._results.clear()


def failure_status(error: BaseException) -> str:
    """The status of a run that raised."""
    return "out_of_memory" if lacks_memory(error) else "failed"
