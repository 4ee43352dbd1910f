"""Runs that advance side by side, each trained on its own: at a pause they wait, and probes see all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from bnbench.data import Data
from bnbench.engines.reference import train
from bnbench.spec import RunSpec
from bnbench.training.records import Halt, JointProbe, Keep, Outcome, Record
from bnbench.training.saving import Saving


def train_interleaved(
    specs: Sequence[RunSpec],
    networks: Sequence[nn.Module],
    data: Sequence[Data],
    probe: JointProbe,
    keep: Keep | None = None,
) -> Iterator[list[tuple[int, Record]]]:
    """Train runs with the reference engine from pause to pause; yield records with the index of their run.

    Between pauses one run trains at a time. The outcomes come last and together, so that either all runs have been
    measured beside each other or none has ended.

    Args:
        networks: as for :func:`train`, one per spec.
        data: one per spec.
        probe: measures all networks that are at a pause.
        keep: takes each network once it is tested.
    """
    running: dict[int, Iterator[Any]] = {
        index: train(spec, network, run_data, _halt, Saving(keep))
        for index, (spec, network, run_data) in enumerate(zip(specs, networks, data, strict=True))
    }
    outcomes: list[tuple[int, Record]] = []
    while running:
        halts: dict[int, Halt] = {}
        for index, records in running.items():
            for record in records:
                if isinstance(record, Halt):
                    halts[index] = record
                    break
                if isinstance(record, Outcome):
                    outcomes.append((index, record))
                else:
                    yield [(index, record)]
        answers = probe(list(halts.values())) if halts else []
        for index, readings in zip(halts, answers, strict=True):
            yield [(index, reading) for reading in readings]
        running = {index: running[index] for index in halts}
    yield outcomes


def _halt(spec: RunSpec, network: nn.Module, data: Data, step: int) -> list[Any]:
    """Stands in for a probe: says that the run has stopped, and is measured before it goes on."""
    return [Halt(spec, network, data, step)]
