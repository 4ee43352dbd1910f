"""Training that goes on from a snapshot yields, bit for bit, what it yields when nothing stops it."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from bnbench.components import Components, components
from bnbench.config import compose_request
from bnbench.data import Data, order_of
from bnbench.engines import StackOptions, train, train_stack
from bnbench.native import c_compiler
from bnbench.norms import NORMS
from bnbench.spec import RunSpec, Sgd
from bnbench.training import Outcome, Record
from bnbench.training.saving import Saving, Snapshot, Unfit, Unsteady, decode, encode
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import small
from tests.products import whole

Found = list[tuple[RunSpec, Record]]
ENGINES = [
    "reference",
    "stacked",
    pytest.param("native", marks=pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")),
]
USUAL = ("model=mlp", "model.width=16", "batch_size=16", "evaluate.unit=steps", "evaluate.every=2", "steps=12")
"""Epochs of four steps: pauses are inside epochs and at their ends."""

SETTINGS = {
    "momentum": ("norm=batch", "optim.momentum=0.9", "optim.weight_decay=0.01"),
    "nesterov": ("norm=batch", "optim.momentum=0.9", "optim.nesterov=true", "schedule=cosine"),
    "adam": ("norm=batch", "optim=adam", "optim.weight_decay=0.01", "lr=0.01"),
    "adamw": ("norm=batch", "optim=adamw", "optim.weight_decay=0.1", "lr=0.01", "label_smoothing=0.1"),
    "frozen before the pause": ("norm=renorm", "freeze_statistics=1"),
    "frozen after it": ("norm=batch", "freeze_statistics=2"),
    "augmented": ("norm=batch", "dataset.pad=1", "dataset.flip=true"),
    "alternating": ("norm=batch", "domains=[plain,contrast_0.4]", "batches=alternating"),
    "recomputed": ("norm=batch", "evaluate.statistics=recomputed"),
    "clipped": ("norm=layer", "grad_clip=0.1"),
    "chunks": ("norm=ghost", "norm.chunk=8"),
}
KEEPING = ("batch_instance", "fixup", "noisy_batch", "precise", "renorm", "spectral", "weight")
"""Norms that keep numbers, draw some, or act on weights, each in a way of its own."""
DRAWING = """
import random
import numpy as np
import torch
from torch import nn

class Drawing(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        x = self.dropout(x)
        return x * random.uniform(0.9, 1.1) * np.random.standard_normal() if self.training else x

class Counting(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return x

class Replacing(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return x - self.mean

NORMS = {"drawing": Drawing, "counting": Counting, "replacing": Replacing}
"""


class Shelf:
    """Keeps the snapshot of a step as bytes."""

    def __init__(self, step: int = -1, snapshot: Snapshot | None = None) -> None:
        self._step, self.snapshot, self.content = step, snapshot, b""

    def at_pause(self, take: Callable[[], Snapshot]) -> None:
        taken = take()
        if taken.step == self._step:
            self.content = encode(dataclasses.asdict(taken))

    def at_stop(self, take: Callable[[], Snapshot]) -> None:
        self.content = encode(dataclasses.asdict(take()))


def records_of(
    engine: str, specs: Sequence[RunSpec], data: Data | Sequence[Data], shelf: Shelf | None,
    parts: Components | None = None, until: int | None = None,
) -> Iterator[tuple[RunSpec, Record]]:  # fmt: skip
    data = [data] * len(specs) if isinstance(data, Data) else data
    networks = [(parts or components()).build(spec, split) for spec, split in zip(specs, data, strict=True)]
    saving = Saving(checkpoints=shelf, until=until)
    if engine == "reference":
        yield from ((specs[0], record) for record in train(specs[0], networks[0], data[0], None, saving))
        return
    options = StackOptions(native=engine == "native", wide=True if engine == "wide" else None)
    for records in train_stack(specs, networks, data, options=options, saving=saving):
        yield from ((specs[lane], record) for lane, record in records)


def in_two_parts(
    engine: str, specs: Sequence[RunSpec], data: Data | Sequence[Data], step: int, parts: Components | None = None
) -> Found:
    """The records until a pause, and those of another engine that goes on from there with the runs that are left."""
    shelf, first = Shelf(step), []
    for spec, record in records_of(engine, specs, data, shelf, parts):
        if shelf.content:
            break
        first.append((spec, record))
    taken = Snapshot(**decode(shelf.content))
    runs = sorted({run for run in taken.columns if run >= 0})
    columns = [runs.index(run) if run >= 0 else -1 for run in taken.columns]
    torch.manual_seed(step)  # whatever the other process has drawn
    shelf = Shelf(snapshot=dataclasses.replace(taken, columns=columns))
    data = data if isinstance(data, Data) else [data[run] for run in runs]
    return [*first, *records_of(engine, [specs[run] for run in runs], data, shelf, parts)]


def lanes(spec: RunSpec, count: int = 3) -> list[RunSpec]:
    """Runs that differ in all that lanes may differ in; only the last one decays."""
    each = [dataclasses.replace(spec, seed=lane, lr=spec.lr * (1 + lane)) for lane in range(count)]
    if not isinstance(spec.optim, Sgd):
        return each
    return [
        dataclasses.replace(one, optim=dataclasses.replace(spec.optim, momentum=spec.optim.momentum * (lane != 1)))
        for lane, one in enumerate(each)
    ]


def same(ours: Found, theirs: Found) -> None:
    """Equal to the last bit, lane by lane."""
    assert len(ours) == len(theirs)
    for spec in {spec for spec, _ in theirs}:
        assert [record for one, record in ours if one == spec] == [record for one, record in theirs if one == spec]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.usefixtures("compiled")
def test_what_goes_on_is_what_was_never_stopped(engine: str, setting: str):
    spec = make_spec(*USUAL, *SETTINGS[setting])
    data = small(load_data(spec), 64)
    specs = lanes(spec)
    if engine == "native" and spec.grad_clip is not None:
        return  # compiled code knows no such runs
    expected = list(records_of(engine, specs, data, None))
    for step in (4, 6):
        same(in_two_parts(engine, specs, data, step), expected)


@pytest.mark.parametrize("engine", ["reference", "stacked"])
@pytest.mark.parametrize("norm", [norm if norm in KEEPING else pytest.param(norm, marks=whole) for norm in NORMS])
def test_each_norm_goes_on(engine: str, norm: str):
    model = "resnet20" if norm == "fixup" else "cnn"
    words = (f"model={model}", "batch_size=16", "evaluate.unit=steps", "evaluate.every=1", "steps=3", "lr=0.001")
    spec = make_spec(*words, f"norm={norm}")
    data = small(load_data(spec), 64)
    specs = lanes(spec, 2)
    same(in_two_parts(engine, specs, data, 2), list(records_of(engine, specs, data, None)))


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("lost", [(1,), (0, 2)], ids=["one", "all but one"])
@pytest.mark.usefixtures("compiled")
def test_a_stack_that_has_lost_lanes_goes_on_without_them(engine: str, lost: tuple[int, ...]):
    spec = make_spec(*USUAL, "norm=batch", "optim.momentum=0.9")
    data = small(load_data(spec), 64)
    specs = [dataclasses.replace(one, lr=1e9) if lane in lost else one for lane, one in enumerate(lanes(spec))]
    expected = list(records_of(engine, specs, data, None))
    ended = {one for one, record in expected if isinstance(record, Outcome) and record.status == "diverged"}
    assert ended == {specs[lane] for lane in lost}
    same(in_two_parts(engine, specs, data, 6), expected)


@pytest.mark.parametrize("step", [4, 14, 24])
@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.usefixtures("compiled")
def test_lanes_whose_epochs_differ_in_length(engine: str, step: int) -> None:
    """Of 130 examples in no order, the classes have other numbers in each split; the first lane diverges early."""
    settings = ("batches=single_class", "batch_size=4", "steps=30", "norm=batch", "optim.momentum=0.9")
    spec = make_spec(*(text for text in USUAL if not text.startswith(("batch_size", "steps"))), *settings)
    specs = [
        dataclasses.replace(spec, split=dataclasses.replace(spec.split, seed=split), seed=seed, lr=lr)
        for split, seed, lr in ((0, 0, 1e30), (0, 1, 0.1), (1, 1, 0.1), (2, 2, 0.2))
    ]
    by_split = {one.split: small(load_data(one), 130) for one in specs}
    data = [by_split[one.split] for one in specs]
    assert len({order_of(spec, split.train).steps for split in data}) > 1
    expected = list(records_of(engine, specs, data, None))
    assert [record.status for _, record in expected if isinstance(record, Outcome)].count("diverged") == 1
    same(in_two_parts(engine, specs, data, step), expected)


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.usefixtures("compiled")
def test_a_single_run_of_a_stack_goes_on(engine: str):
    spec = make_spec(*USUAL, "norm=batch")
    data = small(load_data(spec), 64)
    same(in_two_parts(engine, [spec], data, 6), list(records_of(engine, [spec], data, None)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("setting", ["momentum", "adam", "frozen before the pause", "augmented", "recomputed"])
@pytest.mark.usefixtures("compiled")
def test_runs_stop_after_some_epochs_and_some_of_them_go_on(engine: str, setting: str):
    """Three rungs of one, two and three epochs, with all lanes, two, and the last one: each is as if it were alone."""
    spec = make_spec(*USUAL, *SETTINGS[setting])
    data = small(load_data(spec), 64)
    specs = lanes(spec)[:1] if engine == "reference" else lanes(spec)
    told: Found = []
    kept, runs, snapshot = specs, specs, None
    for until, dropped in ((1, 1), (2, 1), (None, 0)):
        shelf = Shelf(snapshot=snapshot)
        told += records_of(engine, kept, data, shelf, until=until)
        ends = [record for _, record in told[-len(kept) :]]
        status = "completed" if until is None else "stopped"
        assert [end.status for end in ends if isinstance(end, Outcome)] == [status] * len(kept)
        if until is not None:
            again = Shelf(snapshot=_of(shelf, range(len(kept))))
            same([*records_of(engine, kept, data, again, until=until)], told[-len(kept) :])  # nothing is left to do
            assert all((end.steps_done, end.epochs_done, end.test_loss) == (4 * until, until, None) for end in ends)
            runs = kept[dropped:] or kept
            snapshot, kept = _of(shelf, [kept.index(one) for one in runs]), runs
    whole = [*records_of(engine, specs, data, None)]
    for one in specs:
        expected = [record for its, record in whole if its == one]
        ours = [record for its, record in told if its == one and getattr(record, "status", "") != "stopped"]
        assert ours == expected[: len(ours)] and (one not in kept or ours == expected)


def test_runs_go_on_alone_from_lanes_beside_each_other():
    """As on a GPU, where stacks lose no lanes otherwise: rounded as in a smaller stack."""
    words = ("model=cnn", "batch_size=16", "epochs=2", "norm=batch", "optim.momentum=0.9")
    spec = make_spec(*words)
    data = small(load_data(spec), 64)
    specs, shelf = lanes(spec, 5), Shelf()
    whole = list(records_of("wide", specs, data, None))
    told = list(records_of("wide", specs, data, shelf, until=1))
    told += records_of("wide", specs[2:4], data, Shelf(snapshot=_of(shelf, [2, 3])))
    for one in specs[2:4]:
        ours, expected = (
            [record for its, record in found if its == one and getattr(record, "status", "") != "stopped"]
            for found in (told, whole)
        )
        assert len(ours) == len(expected) == 3 and ours[0] == expected[0]
        for mine, its in zip(ours, expected, strict=True):
            assert (mine.train_loss, mine.val_loss) == pytest.approx((its.train_loss, its.val_loss), rel=1e-4)


def _of(shelf: Shelf, runs: Sequence[int]) -> Snapshot:
    """The snapshot on a shelf, with some of its runs alone."""
    taken = Snapshot(**decode(shelf.content))
    columns = [runs.index(run) if run in runs else -1 for run in taken.columns]
    return dataclasses.replace(taken, columns=columns, is_part=len(runs) < sum(run >= 0 for run in taken.columns))


@pytest.fixture
def drawing(tmp_path: Path) -> Components:
    (tmp_path / "plugin.py").write_text(DRAWING)
    return components(tmp_path / "plugin.py")


@pytest.mark.parametrize(
    ("engine", "norm"), [("reference", "drawing"), ("reference", "replacing"), ("stacked", "replacing")]
)
def test_a_norm_of_a_plugin_goes_on(drawing: Components, engine: str, norm: str):
    """One that draws from all generators, and one that puts another buffer into the place of its own."""
    (spec,) = compose_request([*USUAL, f"norm={norm}"], drawing).specs
    data = small(load_data(spec), 64)
    specs = lanes(spec)
    expected = list(records_of(engine, specs, data, None, drawing))
    same(in_two_parts(engine, specs, data, 6, drawing), expected)


@pytest.mark.parametrize("engine", ["reference", "stacked"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_layer_that_counts_in_python_cannot_be_saved(drawing: Components, engine: str, lost: bool):
    (spec,) = compose_request([*USUAL, "norm=counting"], drawing).specs
    data = small(load_data(spec), 64)
    specs = [dataclasses.replace(one, lr=1e9) if lost and lane == 1 else one for lane, one in enumerate(lanes(spec))]
    with pytest.raises(Unsteady, match="calls is kept in Python"):
        list(records_of(engine, specs, data, Shelf(4), drawing))


@pytest.mark.parametrize("engine", ["reference", "stacked"])
def test_a_snapshot_of_another_network_is_refused(engine: str):
    spec, other = (make_spec(*USUAL, "norm=batch", f"model.depth={depth}") for depth in (2, 3))
    data = small(load_data(spec), 64)
    shelf = Shelf(4)
    list(records_of(engine, lanes(spec, 2), data, shelf))
    with pytest.raises(Unfit, match="not those of the networks"):
        list(records_of(engine, lanes(other, 2), data, Shelf(snapshot=Snapshot(**decode(shelf.content)))))


def test_nothing_in_a_snapshot_is_executed():
    with pytest.raises(Unfit, match="cannot be read"):
        decode(pickle.dumps(print))
