"""The peers that are timed do the same work, and the table says what was measured."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import nn

from benchmarks import floor, layers, layouts, norms, overhead, step
from benchmarks.cells import WORKLOADS, Job, Workload, network, overrides, write_images
from benchmarks.measure import ROOT, Case
from benchmarks.peers import in_memory, plain
from benchmarks.peers.clock import Times
from benchmarks.table import Measured, table
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.native import c_compiler
from bnbench.native.structures import CONVOLUTION, NORM, Layer, Shape
from bnbench.norms import NORMS
from tests.products import long


@pytest.mark.parametrize("name", ["digits-mlp", "breast-cancer-mlp"])
@pytest.mark.parametrize("peer", [plain, in_memory])
def test_a_peer_learns(peer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run of a peer at a good learning rate, to its own evaluation: what is timed is training."""
    _, images, source = write_images(WORKLOADS[name], tmp_path, tmp_path)
    assert source == WORKLOADS[name].images
    job = Job(str(images), "mlp", 32, 0.01, 0.9, False, 3, 3)
    seen: list[float] = []

    def evaluate(*arguments):
        seen.append(original(*arguments)[1])
        return seen[-1], seen[-1]

    original = peer.evaluate
    monkeypatch.setattr(peer, "evaluate", evaluate)
    times = peer.train(job)
    assert len(times.epochs) == 3 and len(seen) == 4
    assert seen[-1] > 0.9


def test_everybody_trains_the_same_network(tmp_path: Path):
    for workload in WORKLOADS.values():
        ours, theirs, _ = write_images(workload, tmp_path, tmp_path)
        parts = components(workload.plugin)
        spec = compose_request(overrides(workload, 8, ours), parts).specs[0]
        data = parts.load(spec, tmp_path)
        job = Case(workload, 8, ours, theirs).job()
        networks = parts.build(spec, data), network(job, data.shape, data.classes)
        assert [p.shape for p in networks[0].parameters()] == [p.shape for p in networks[1].parameters()]


def test_a_run_is_reckoned_from_its_epochs_after_the_first():
    assert Times(build=1.0, epochs=[9.0, 2.0, 4.0], test=0.5).run(10) == pytest.approx(1 + 10 * 3 + 0.5)


def test_what_a_program_does_once_is_in_no_run():
    """All that torch imports for an optimizer is there when the clock of a run begins."""
    code = """
import sys, torch
from benchmarks.peers.clock import Watch
before = set(sys.modules)
watch = Watch()
imported = set(sys.modules)
torch.optim.SGD([torch.zeros(1)])
assert set(sys.modules) == imported
watch.built()
print(len(imported - before), watch.tested().build)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules, build = map(float, done.stdout.split())
    assert modules > 0 and build < 0.1


def test_norms_are_measured_beside_torch():
    x = torch.randn(4, 8, 3, 3, requires_grad=True)
    seconds = norms.measure({norms.PEER: nn.BatchNorm2d(8), "group": NORMS["group"](8)}, x, 3)
    assert all(len(times) == 3 and min(times) > 0 for times in seconds.values())
    text = norms.table({norms.PEER: [0.002, 0.002, 0.002], "mine": [0.003, 0.001, 0.003]})
    assert "| torch.nn.BatchNorm2d | 2.00 | 2.00-2.00 | 1.00 |\n| mine | 3.00 | 1.00-3.00 | 1.50 |" in text


def test_norms_that_change_the_layers_of_a_network_are_not_measured():
    """By themselves those of weights alone are the identity."""
    left_out = set(NORMS) - set(norms.MEASURED)
    assert left_out == {"ws", "scaled_ws", "weight", "spectral", "fixup"}
    x = torch.randn(4, 8, 3, 3)
    assert {name for name in left_out if NORMS[name](8)(x) is x} == {"scaled_ws", "weight", "spectral"}


def test_a_norm_that_cannot_be_measured_is_refused():
    with pytest.raises(typer.BadParameter, match=r"^spectral, ws: must be of none, batch, "):
        norms.main(norms=["ws", "batch", "spectral"])


def test_the_operations_of_a_step_are_those_of_more_steps():
    """Ten steps more: what is done once is nothing; the rest by its time."""
    fewer = {"build": (3.0, 7), "mm": (1.0, 20), "add": (0.5, 10)}
    more = {"build": (3.0, 7), "mm": (2.0, 40), "add": (1.0, 20), "late": (0.5, 10)}
    assert step.operations(fewer, more, 10) == [
        (0.5, 0.1, 2.0, "mm"),
        (0.25, 0.05, 1.0, "late"),
        (0.25, 0.05, 1.0, "add"),
        (0.0, 0.0, 0.0, "build"),
    ]


@long
def test_a_step_by_torch_is_told(capsys: pytest.CaptureFixture[str]):
    step.main(["model=mlp", "model.width=8", "batch_size=2"], lanes=3, steps=20)
    first, floor, *rows = capsys.readouterr().out.splitlines()
    assert "a step alone" in first and "of 3 lanes" in first and "floor by memory" in floor
    assert len(rows) == 14 and all("us a step" in row for row in rows)


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_what_a_norm_adds_is_measured_in_a_layout(layout):
    x = layouts.in_layout(torch.randn(2, 1, 3, 3), layout)
    assert x.stride() == {"contiguous": (9, 9, 3, 1), "channels last": (9, 1, 3, 1)}[layout]
    with_norm, without = (sum(p.numel() for p in layouts.network(norm).parameters()) for norm in (True, False))
    assert with_norm - without == sum(outputs for _, outputs, _, _ in layouts.LAYERS)  # two vectors in place of a bias
    costs = layouts.measure(layout, 3)
    assert 0 < costs.norms < costs.with_norm and costs.without > 0 and costs.ratio > 0


def test_the_table_has_ratios_and_their_mean():
    cells = [
        Measured("digits-mlp", size, 60, "digits", {"bnbench": [2.0, 2.0], "plain": [plain_s, plain_s]}, 0.5, 30, 10**9)
        for size, plain_s in ((2, 20.0), (8, 80.0))
    ]
    text = table(cells)
    assert "| digits-mlp | 2 | 60 | digits | 2.0 | 0.5 | 30 | 1000 | 10.0x (10.0-10.0) |" in text
    assert "**20.0x** (at least 25x: NO)" in text


def test_the_floor_of_a_sweep_is_what_its_products_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two layers, of which the first one's images have no gradient; each core does an operation a second."""
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    step, shown = 2 * 5 * (2 * 32 + 3 * 24), 2 * 5 * (32 + 24)
    for backward, expected in ((True, step), (False, shown)):
        assert floor.operations(network, torch.randn(5, 4), torch.zeros(5).long(), backward) == expected
    parts = {"train": 23, "val": 10, "test": 5}
    arrays = {f"x_{part}": np.zeros((many, 4), np.float32) for part, many in parts.items()}
    np.savez(tmp_path / "parts.npz", **arrays, **{f"y_{part}": np.zeros(many) for part, many in parts.items()})
    monkeypatch.setattr(floor, "network", lambda job, shape, classes: network)
    monkeypatch.setattr(floor, "product_rate", lambda: 1.0)
    case = Case(Workload("mlp", "digits", None, 3), 5, tmp_path, tmp_path / "parts.npz")
    one_run = 3 * (4 * step + 2 * shown) + shown
    assert floor.floor(case) == case.runs * one_run / len(os.sched_getaffinity(0))


@long
@pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")
def test_the_layers_of_a_compiled_step_add_up(capsys: pytest.CaptureFixture[str]):
    layers.main(["model=cnn", "batch_size=4"], lanes=2, steps=2, rounds=2)
    first, floor, *rows = capsys.readouterr().out.splitlines()
    assert "a step of a lane" in first and "MFLOP" in floor
    assert [row.split()[0] for row in rows].count("convolution") == 3
    assert all("forward" in row and "backward" in row for row in rows)


def test_the_arithmetic_of_a_layer_is_counted():
    """6 x 5 positions, 7 outputs of 3 x 3 x 2 inputs, 4 examples; a multiplication and an addition each."""
    shape = Shape(6, 5, 2, 6, 5, 7, 3, 3)
    assert layers.operations(Layer(kind=CONVOLUTION, shape=shape), 4) == (2 * 4 * 30 * 7 * 18, 2 * 2 * 4 * 30 * 7 * 18)
    assert layers.operations(Layer(kind=NORM, shape=shape), 4) == (0, 0)


def test_a_sweep_that_costs_little_has_as_many_runs_as_it_says():
    request = compose_request([*overhead.FACTORS, "seed=range(3)"], components())
    assert not request.problems and len(request.specs) == 3 * overhead.CELLS
