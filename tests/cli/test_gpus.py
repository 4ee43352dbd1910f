"""Sweeps on GPUs, by a runtime that does nothing: who trains where, what fails alone, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from bnbench.store import read_history
from tests.null_cuda.runtime import NullCuda
from tests.products import long

SMALL = ("model=mlp", "model.depth=1", "model.width=8", "steps=6", "device=cuda")

WILD = """
import ctypes

import torch
from torch import Tensor, nn


class Wild(nn.Module):
    \"\"\"With some seeds its index is out of range, which a kernel asserts.\"\"\"

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.wild = torch.rand(()).item() > 0.85

    def forward(self, x: Tensor) -> Tensor:
        if self.wild and x.is_cuda:
            ctypes.CDLL(None).null_cuda_assert()
        return x


NORMS = {"wild": Wild}
"""


def sweep(null_cuda: NullCuda, folder: Path, *words: str, **settings: int) -> CompletedProcess[str]:
    return null_cuda.run("-m", "bnbench", "sweep", "--name", "gpus", *words, cwd=folder, **settings)


def runs(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results/gpus/runs.csv")


def test_two_gpus_have_a_worker_each(null_cuda: NullCuda, tmp_path: Path) -> None:
    done = sweep(null_cuda, tmp_path, *SMALL, "norm=batch,none", "seed=range(4)", devices=2)
    assert done.returncode == 0, done.stderr
    found = runs(tmp_path)
    assert set(found["status"]) == {"completed"}
    assert set(found["device"]) == {"cuda:0", "cuda:1"}  # one may begin later, and train less
    (entry,) = read_history(tmp_path / "results/gpus")
    assert (entry["device"], entry["cards"]) == ("cuda", ["NULL H100"])


@long
def test_a_gpu_by_its_index_has_one_worker(null_cuda: NullCuda, tmp_path: Path) -> None:
    done = sweep(null_cuda, tmp_path, *SMALL[:-1], "device=cuda:1", "norm=batch", "seed=range(4)", devices=2)
    assert done.returncode == 0, done.stderr
    found = runs(tmp_path)
    assert (set(found["device"]), set(found["lanes"])) == ({"cuda:1"}, {4})


def test_a_run_that_spoils_its_process_fails_alone(null_cuda: NullCuda, tmp_path: Path) -> None:
    (tmp_path / "wild.py").write_text(WILD)
    done = sweep(null_cuda, tmp_path, "--plugin", "wild.py", *SMALL, "norm=wild", "seed=8,9,10,11")
    assert done.returncode == 1, done.stderr
    found = runs(tmp_path).set_index("seed")
    assert found["status"].to_dict() == {8: "completed", 9: "failed", 10: "completed", 11: "completed"}
    assert found["engine"].to_dict() == {8: "stacked", 9: "reference", 10: "stacked", 11: "stacked"}
    assert found["lanes"].to_dict() == {8: 1, 9: 1, 10: 2, 11: 2}
    assert found["error"][9] == "AcceleratorError: CUDA error: device-side assert triggered"
    assert "Traceback" in (tmp_path / f"results/gpus/logs/{found['run_id'][9]}.log").read_text()


@long
def test_in_the_program_itself_a_spoiled_process_ends_with_one_message(null_cuda: NullCuda, tmp_path: Path) -> None:
    words = (*SMALL, "norm=batch,none", "batch_size=2,4,8", "seed=0,1", "--launcher", "inline")
    done = sweep(null_cuda, tmp_path, *words, assert_after=1000)
    assert done.returncode == 2
    error = done.stderr[done.stderr.index("error:") :]
    assert error.startswith("error: device=cuda:0 takes nothing more from this process: CUDA error: device-side assert")
    assert "Traceback" not in done.stderr and set(runs(tmp_path)["status"]) <= {"completed", "interrupted", "planned"}


WITHOUT_COLLECTOR = """
import gc
import runpy

gc.disable()
runpy.run_module("bnbench", run_name="__main__")
"""


@long
@pytest.mark.parametrize(
    ("limit", "lanes"),
    [
        pytest.param({"memory": 600_000_000}, {2, 4}, id="memory"),
        pytest.param({"capture_memory": 200_000_000}, {1, 2, 4}, id="capture_memory"),
    ],
)
def test_a_stack_that_memory_does_not_hold_is_halved(
    null_cuda: NullCuda, tmp_path: Path, limit: dict[str, int], lanes: set[int]
) -> None:
    """Without a garbage collector, which frees what earlier stacks have held when it likes."""
    words = ("model=resnet20", "norm=batch", "batch_size=256", "steps=5", "device=cuda", "seed=range(8)")
    options = ("--name", "gpus", "--lanes", "8", "--launcher", "inline")
    done = null_cuda.run("-c", WITHOUT_COLLECTOR, "sweep", *words, *options, cwd=tmp_path, **limit)
    assert done.returncode == 0, done.stdout
    found = runs(tmp_path)
    assert set(found["status"]) == {"completed"} and set(found["lanes"]) <= lanes


REFUSED = [
    ({"NULL_CUDA_DEVICES": "2"}, "cuda:7", "device=cuda:7: there are 2 GPUs, cuda:0 to cuda:1; use"),
    ({"NULL_CUDA_DEVICES": "2"}, "cuda:-1", "device=cuda:-1: must be auto, cpu, cuda, or cuda:0, cuda:1, ..."),
    ({"NULL_CUDA_DEVICES": "2"}, "cuda:x", "device=cuda:x: must be auto, cpu, cuda, or cuda:0, cuda:1, ..."),
    ({}, "gpu", "device=gpu: must be auto, cpu, cuda, or cuda:0, cuda:1, ...; write device=cuda"),
    ({"NULL_CUDA_DEVICES": "0"}, "cuda", "device=cuda: there is no GPU: PyTorch says"),
    ({"CUDA_VISIBLE_DEVICES": ""}, "cuda", "device=cuda: there is no GPU: CUDA_VISIBLE_DEVICES='' leaves none"),
    (
        {"CUDA_VISIBLE_DEVICES": "none!"},
        "cuda",
        "device=cuda: there is no GPU: CUDA_VISIBLE_DEVICES='none!' leaves none",
    ),
    (
        {"NULL_CUDA_MEMORY": "30000000"},
        "cuda",
        "device=cuda:0: 30 MB of 30 MB are free, but the smallest of these runs",
    ),
    (
        {"NULL_CUDA_MEMORY": "30000000"},
        "auto",
        "device=cuda:0: 30 MB of 30 MB are free, but the smallest of these runs",
    ),
    ({"NULL_CUDA_TAKEN": "85800000000"}, "cuda", "at least, and other programs hold 85,800 MB; use another GPU, or"),
    ({"NULL_CUDA_DEVICES": "2"}, "cuda devices=4", "devices=4: device=cuda is 2 GPUs; must be at most 2 here"),
    ({"NULL_CUDA_DEVICES": "2"}, "cuda:1 devices=2", "devices=2: device=cuda:1 is 1 GPU; must be at most 1 here"),
    ({"NULL_CUDA_TAKEN": "90000000000"}, "cuda", "device=cuda:0: cannot be used: CUDA error: out of memory; use"),
]


def test_a_gpu_that_cannot_be_had_is_refused(null_cuda: NullCuda, tmp_path: Path) -> None:
    cases = [(settings, device) for settings, device, _ in REFUSED]
    found = null_cuda.ask("refusals", json.dumps(cases), str(tmp_path))
    for (code, said, written), (_, _, says) in zip(found, REFUSED, strict=True):
        assert (code, written) == (2, []), said
        assert says in said and said.count("\nerror:") == 1 and "Traceback" not in said


def test_doctor_trains_on_each_gpu_and_names_those_that_compute_nothing(null_cuda: NullCuda, tmp_path: Path) -> None:
    done = null_cuda.run("-m", "bnbench", "doctor", "--json", cwd=tmp_path, devices=2)
    assert done.returncode == 1, done.stderr
    engines = {one["name"]: one for one in json.loads(done.stdout) if one["part"] == "engines"}
    on_gpus = ["stacked on cuda:0", "stacked on cuda:1"]
    assert [*engines][-2:] == on_gpus and engines["stacked"]["state"] == "ok"
    for name in on_gpus:
        found = engines[name]
        assert found["state"] == "wrong" and "; the reference has 2." in found["said"], found
        assert "not recorded" not in found["said"] and "device=cpu, or another GPU" in found["remedy"], found
