"""Finished sweeps that nobody trained: every number follows from the seed of its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnbench import store
from bnbench.spec import RunSpec, run_id
from tests.store.sweeps import FACTS, evaluations, final, make_spec, readings

__all__ = ["ENDS", "finish", "make_spec", "run_id"]

ENDS = {0: "completed", 1: "diverged", 2: "failed"}
"""The status of a run by its seed; others completed."""


def finish(folder: Path, specs: Sequence[RunSpec], **columns: Any) -> list[str]:
    """Enter runs into a sweep and write how they ended, as workers do; their ids.

    Args:
        columns: of the final rows, in place of what follows from the seed.
    """
    with store.locked(folder):
        store.enter_runs(folder, specs, {}, {"runs": len(specs)})
        with store.Segment(folder, "worker") as segment:
            segment.start(specs, FACTS)
            for spec in specs:
                segment.evaluation(evaluations(spec))
                segment.readings(readings(spec))
            segment.finish([_end(spec, columns) for spec in specs])
        store.join(folder)
    return [run_id(spec) for spec in specs]


def _end(spec: RunSpec, columns: dict[str, Any]) -> dict[str, Any]:
    status = ENDS.get(spec.seed, "completed")
    last = evaluations(spec)[-1]
    numbers = {name: last[name] for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")}
    return final(spec, status) | {"steps_done": last["step"], **numbers} | columns
