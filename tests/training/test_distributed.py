"""A run that two processes train, against the same run in one."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from bnbench.components import components
from bnbench.data import Draws
from bnbench.engines import train
from bnbench.spec import RunSpec, stream
from bnbench.training import Evaluation, Outcome
from bnbench.training.distributed import ALONE, Member, join, meeting
from tests.conftest import load_data, make_spec

SMALL = ("precision=fp64", "batch_size=8", "split.train=30", "epochs=2", "lr=0.05")
NETWORK = ("model=cnn", "model.width=4", "model.depth=2")
CASES: dict[str, tuple[list[str], list[str]]] = {  # settings of the run on two devices, and of the one on one
    **{norm: ([f"norm={norm}"], [f"norm={norm}"]) for norm in ("none", "layer", "group", "rms", "sync")},
    "batch": (["norm=batch"], ["norm=ghost", "norm.chunk=4"]),
    "sync is batch": (["norm=sync"], ["norm=batch"]),
    "smaller last batch": (["norm=sync", "drop_last=false"], ["norm=batch", "drop_last=false"]),
    "one example of three": (
        ["norm=layer", "drop_last=false", "split.train=27"],
        ["norm=layer", "drop_last=false", "split.train=27"],
    ),
    "augmented": (
        ["norm=group", "dataset.pad=1", "dataset.flip=true"],
        ["norm=group", "dataset.pad=1", "dataset.flip=true"],
    ),
    "clipped": (["norm=group", "grad_clip=0.1", "optim=adam"], ["norm=group", "grad_clip=0.1", "optim=adam"]),
    "single class": (
        ["norm=layer", "batches=single_class", "split.train=null"],
        ["norm=layer", "batches=single_class", "split.train=null"],
    ),
    "frozen": (["norm=sync", "freeze_statistics=1"], ["norm=batch", "freeze_statistics=1"]),
    "batch statistics": (["norm=sync", "evaluate.statistics=batch"], ["norm=batch", "evaluate.statistics=batch"]),
    "recomputed": (["norm=sync", "evaluate.statistics=recomputed"], ["norm=batch", "evaluate.statistics=recomputed"]),
    "affine": (["norm=group", "train=affine"], ["norm=group", "train=affine"]),
    "steps": (
        ["norm=sync", "steps=3", "evaluate.every=2", "evaluate.unit=steps"],
        ["norm=batch", "steps=3", "evaluate.every=2", "evaluate.unit=steps"],
    ),
}
RUNNING = ("running_mean", "running_var", "num_batches_tracked")


def spec_of(settings: list[str], *more: str) -> RunSpec:
    given = {text.partition("=")[0] for text in settings}
    usual = [text for text in (*NETWORK, *SMALL) if text.partition("=")[0] not in given | ({"epochs"} & given)]
    usual = [text for text in usual if not (text.startswith("epochs") and "steps" in given)]
    return make_spec(*usual, *settings, *more)


def trained(spec: RunSpec, member: Member) -> tuple[list[Evaluation | Outcome], dict[str, torch.Tensor]]:
    data = load_data(spec)
    network = components().build(spec, data)
    records = list(train(spec, network, data, member=member))
    return [record for record in records if isinstance(record, Evaluation | Outcome)], network.state_dict()


def take_part(rank: int, folder: Path, port: int) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    join(Member(rank, 2), port, torch.device("cpu"))
    results = {name: trained(spec_of(settings, "devices=2"), Member(rank, 2)) for name, (settings, _) in CASES.items()}
    torch.save(results, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, tuple[list, dict[str, torch.Tensor]]]]:
    """By case, what each of two processes came to."""
    folder = tmp_path_factory.mktemp("gloo")
    place = meeting()
    multiprocessing.spawn(take_part, (folder, place.port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize(
    ("positions", "batch", "size"), [(24, 8, 2), (27, 8, 2), (25, 8, 4), (3, 8, 2), (8, 8, 8), (16, 4, 1)]
)
def test_each_batch_is_shared_out_and_no_example_is_lost(positions: int, batch: int, size: int):
    order, flip = torch.randperm(positions), torch.rand(positions) < 0.5
    draws = Draws(order, order + 100, order + 200, flip)
    parts = [Member(rank, size).part(draws, batch) for rank in range(size)]
    for start in range(0, positions, batch):
        at = slice(start // size, (start + batch) // size)
        for name in ("order", "dy", "dx", "flip"):
            pieces = [getattr(part, name)[at] for part in parts]
            assert torch.equal(torch.cat(pieces), getattr(draws, name)[start : start + batch])
            assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_layers_draw_other_numbers_in_each_process_and_those_of_a_run_on_one_device_in_the_first():
    seeds = [Member(rank, 3).layers_seed(5) for rank in range(3)]
    assert len(set(seeds)) == 3 and seeds[0] == stream(5, "layers")


def near(value: object) -> object:
    return pytest.approx(value, rel=1e-10, abs=1e-10) if isinstance(value, float) else value


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(together, name):
    (records, state), (others, other_state) = (results[name] for results in together)
    assert records == others
    expected, weights = trained(spec_of(CASES[name][1]), ALONE)
    same_statistics = name != "batch"
    assert [type(record) for record in records] == [type(record) for record in expected]
    for ours, theirs in zip(records, expected, strict=True):
        for field in type(theirs).__slots__:
            if same_statistics or not field.startswith(("val", "test", "best")):
                assert getattr(ours, field) == near(getattr(theirs, field)), field
    for key in weights:
        if same_statistics or not key.endswith(RUNNING):
            torch.testing.assert_close(state[key], weights[key], rtol=1e-10, atol=1e-10)
        if not key.endswith(RUNNING):
            assert torch.equal(state[key], other_state[key])


def test_running_statistics_are_those_of_the_first_process(together):
    """Those that it has seen: its examples are the first of each batch."""
    _, state = together[0]["batch"]
    spec = spec_of(["norm=batch"])
    tracked = [value for key, value in state.items() if key.endswith("num_batches_tracked")]
    assert tracked and all(int(value) == 2 * (27 // spec.batch_size) for value in tracked)
