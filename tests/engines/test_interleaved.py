"""Interleaved runs: each is trained as alone, they wait for each other at pauses, and end together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bnbench.components import components
from bnbench.data import order_of
from bnbench.engines import train, train_interleaved
from bnbench.spec import RunSpec
from bnbench.training import Evaluation, Halt, Outcome, Reading, Record
from bnbench.training.timeline import timeline_of
from tests.conftest import load_data, make_spec

PARTS = components()
BATCH = ("model=mlp", "norm=batch", "batch_size=64", "epochs=2")
SPECS = [make_spec(*BATCH), make_spec("model=mlp", "norm=layer", "batch_size=64", "epochs=4", "probe_every=2")]


def interleaved(specs: Sequence[RunSpec]) -> tuple[list[list[tuple[int, Record]]], list[list[tuple[RunSpec, int]]]]:
    """What is yielded, and which runs were measured together after how many steps."""
    seen: list[list[tuple[RunSpec, int]]] = []

    def probe(halts: Sequence[Halt]) -> list[list[Reading]]:
        seen.append([(halt.spec, halt.step) for halt in halts])
        return [[Reading(halt.step, "memory", "network", "x", float(len(halts)))] for halt in halts]

    data = [load_data(spec) for spec in specs]
    networks = [PARTS.build(spec, own) for spec, own in zip(specs, data, strict=True)]
    return list(train_interleaved(specs, networks, data, probe)), seen


def test_every_run_is_trained_as_alone():
    yielded, _ = interleaved(SPECS)
    for index, spec in enumerate(SPECS):
        data = load_data(spec)
        expected = list(train(spec, PARTS.build(spec, data), data))
        own = [record for records in yielded for run, record in records if run == index]
        assert [record for record in own if not isinstance(record, Reading)] == expected


def test_they_are_measured_together_while_both_train_and_end_together():
    yielded, seen = interleaved(SPECS)
    first, second = SPECS
    steps = timeline_of(first, order_of(first, load_data(first).train)).total // 2
    assert seen == [
        [(first, 0), (second, 0)],
        [(first, steps), (second, 2 * steps)],
        [(first, 2 * steps), (second, 4 * steps)],
    ]
    assert [type(record) for _, record in yielded[-1]] == [Outcome, Outcome]
    readings = [(run, record.step) for records in yielded for run, record in records if isinstance(record, Reading)]
    assert readings == [(0, 0), (1, 0), (0, steps), (1, 2 * steps), (0, 2 * steps), (1, 4 * steps)]


def test_a_run_that_diverges_leaves_the_others():
    wild = make_spec("model=mlp", "norm=none", "lr=1e15", "epochs=2")
    yielded, seen = interleaved([wild, SPECS[0]])
    assert [len(together) for together in seen] == [2, 1, 1]
    (failed, ended) = (record for _, record in yielded[-1])
    assert isinstance(failed, Outcome) and isinstance(ended, Outcome)
    assert (failed.status, ended.status) == ("diverged", "completed")
    assert any(isinstance(record, Evaluation) for records in yielded for run, record in records if run == 1)


def test_what_a_run_raises_is_raised():
    with pytest.raises(RuntimeError, match="not now"):
        data = load_data(SPECS[0])

        def probe(halts: Sequence[Halt]) -> list[list[Reading]]:
            raise RuntimeError("not now")

        list(train_interleaved(SPECS[:1], [PARTS.build(SPECS[0], data)], [data], probe))
