"""One run, start to end: build, train, append to the store. This is what a launcher executes."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from bnbench.components import components
from bnbench.engine import Outcome, Record, now, prepare_process, resolve_device, train
from bnbench.environment import timestamp
from bnbench.spec import RunSpec, run_id
from bnbench.store import Segment


@dataclass(frozen=True)
class Task:
    """What a worker needs to train one run.

    Attributes:
        folder: the sweep's folder.
        session: unique to one call of bnbench; names the worker's segment.
        data: the folder of the datasets.
        device: as resolved for this worker.
        git_commit: of the folder that the user works in, for the record.
    """

    spec: RunSpec
    folder: Path
    session: str
    data: Path
    plugin: Path | None
    device: str
    git_commit: str


def work(task: Task, watch: Callable[[Record], None] = lambda record: None) -> tuple[str, str]:
    """Train a run, write all that it yields, and return its final status and error.

    What the run raises ends the run and is written as its status, with the traceback under logs/.

    Args:
        watch: is shown each record as well.
    """
    prepare_process()
    device = resolve_device(task.device)
    facts = {
        "engine": "reference",
        "lanes": 1,
        "device": str(device),
        "started_at": timestamp(),
        "host": socket.gethostname(),
        "version": version("bnbench"),
        "torch": torch.__version__,
        "git_commit": task.git_commit,
    }
    identity = run_id(task.spec)
    with Segment(task.folder, f"{task.session}-{os.getpid()}") as segment:
        segment.start([task.spec], facts)
        try:
            outcome = _train(task, device, segment, watch)
        except Exception as error:
            segment.log(identity, traceback.format_exc())
            outcome = {"status": failure_status(error), "error": f"{type(error).__name__}: {error}"}
        segment.finish([{"run_id": identity, **facts, **outcome, "finished_at": timestamp()}])
    return str(outcome["status"]), str(outcome.get("error", ""))


def _train(task: Task, device: torch.device, segment: Segment, watch: Callable[[Record], None]) -> dict[str, Any]:
    """The outcome columns of a run; ``seconds`` is its training and evaluation, without loading and building."""
    parts = components(task.plugin)
    data = parts.load(task.spec, task.data)
    network = parts.build(task.spec, data).to(device)
    on_device = data.to(device)
    start = now(device)
    for record in train(task.spec, network, on_device):
        watch(record)
        if isinstance(record, Outcome):
            return {**asdict(record), "seconds": round(now(device) - start, 3)}
        segment.evaluation([{"run_id": run_id(task.spec), **asdict(record)}])
    raise AssertionError("an engine ends with an Outcome")


def failure_status(error: Exception) -> str:
    """The status of a run that raised."""
    allocation = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return "out_of_memory" if allocation or isinstance(error, torch.OutOfMemoryError | MemoryError) else "failed"
