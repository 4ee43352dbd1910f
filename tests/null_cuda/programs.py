"""What is looked at under the null CUDA runtime: each function is a program, and what it returns is printed as JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bnbench import cli
from bnbench.components import Components, components
from bnbench.data import Data, to_device
from bnbench.engines import train_stack
from bnbench.plan.feasibility import obstacles
from bnbench.spec import RunSpec
from bnbench.stacking import fold
from bnbench.stacking.graph_capture.cuda_graph import CudaGraphs
from bnbench.stacking.graph_capture.runner import LaneSteps
from bnbench.stacking.optimizers import make_lane_optimizer
from bnbench.stacking.stack import Stack
from bnbench.stacking.step import LaneStep
from bnbench.training import current, prepare_process
from tests.conftest import load_data, make_spec
from tests.engines.test_recording import Reading, with_norm
from tests.engines.test_stacked import small
from tests.null_cuda.counters import clear, counter, counters, nodes

GPU = "cuda:0"
STEPS = ("steps=5", "evaluate.unit=steps", "evaluate.every=5", "divergence_factor=1e30")


class Bringing(nn.Module):
    """A layer that brings a number to the GPU."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tensor(2.0, device=x.device)


class Late(nn.Module):
    """A layer that waits for the GPU only while it is captured."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sum().item() if torch.cuda.is_current_stream_capturing() else x


def stacked(spec: RunSpec, lanes: int, data: Data, parts: Components | None = None, device: str = GPU) -> list[str]:
    """Train a stack; why it was not recorded."""
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(lanes)]
    networks = [(parts or components()).build(lane, data).to(device) for lane in specs]
    return told_by(specs, networks, [data.to(device)] * lanes)


def told_by(specs: list[RunSpec], networks: list[nn.Module], data: list[Data]) -> list[str]:
    """Train a stack; why it was not recorded."""
    told: list[str] = []
    for _ in train_stack(specs, networks, data, tell=told.append):
        pass
    return told


def splits() -> dict[str, Any]:
    """What a stack of three splits comes to, and how many copies of the images are on the GPU."""
    spec = make_spec("model=cnn", "norm=batch", "batch_size=16", "dataset.pad=1", "evaluate.statistics=batch", *STEPS)
    own = [dataclasses.replace(spec.split, seed=seed) for seed in (0, 1, 2, 1)]
    specs = [dataclasses.replace(spec, split=split, seed=seed) for seed, split in enumerate(own)]
    data = [load_data(lane) for lane in specs]
    networks = [components().build(lane, split).to(GPU) for lane, split in zip(specs, data, strict=True)]
    there = to_device(data, GPU)
    clear()
    told = told_by(specs, networks, there)
    copies = {part.source.data_ptr() for split in there for part in (split.train, split.validation, split.test)}
    return {"told": told, "captures": counter("captures"), "copies": len(copies)}


def sizes() -> dict[str, int]:
    """Nodes of a captured step by model."""
    found: dict[str, int] = {}
    with recorded_nodes() as counts:
        for model in ("mlp", "cnn", "resnet20"):
            spec = make_spec(f"model={model}", "norm=batch", "batch_size=2", *STEPS)
            assert not stacked(spec, 64, small(load_data(spec), 64))
            found[model] = counts[0]  # behind it is the evaluation's
            counts.clear()
    return found


@contextlib.contextmanager
def recorded_nodes() -> Iterator[list[int]]:
    """Nodes of each graph that is captured in a block."""
    record, counts = CudaGraphs.record, list[int]()

    def counted(graphs: CudaGraphs, body: Callable[[], object]) -> Callable[[], None]:
        play = record(graphs, body)
        counts.append(nodes())
        return play

    CudaGraphs.record = counted  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        CudaGraphs.record = record  # type: ignore[method-assign]


def block() -> dict[str, int]:
    """What a block of recorded steps does besides playing them back; all counters."""
    spec = make_spec("model=cnn", "norm=batch", "batch_size=16", *STEPS)
    data = small(load_data(spec), 64).to(GPU)
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(4)]
    network = fold([components().build(lane, data).to(GPU) for lane in specs], True).train()
    optimizer = make_lane_optimizer(specs, network, [True] * len(list(network.parameters())))
    steps = LaneSteps(
        LaneStep(spec, network, optimizer), CudaGraphs(torch.device(GPU)), 8, data.shape, data.classes, print
    )
    x, y, lr = (
        torch.zeros(8, 64, *data.shape, device=GPU),
        torch.zeros(8, 4, 16, dtype=torch.int64, device=GPU),
        torch.zeros(8, 4, 1, device=GPU),
    )
    for _ in range(3):
        torch.cuda.synchronize()
        clear()
        steps.run(x, y, lr)
    return counters()


def evaluations() -> dict[str, list[dict[str, int]]]:
    """By model, what each evaluation of a stack does, from the second on: those of validation, and that of the test."""
    often = ("batch_size=32", "steps=20", "evaluate.unit=steps", "evaluate.every=5")
    return {model: counted("evaluate", 64, f"model={model}", *often)[1:] for model in ("mlp", "resnet20")}


def epochs() -> dict[str, list[dict[str, int]]]:
    """By settings, what each epoch of 8 steps does that a stack is trained for, from the second on."""
    cases = ("model=mlp", "model=cnn dataset.pad=1 dataset.flip=true")
    return {case: counted("train", 16, *case.split(), "batch_size=8", "epochs=4")[1:] for case in cases}


def counted(method: str, lanes: int, *settings: str) -> list[dict[str, int]]:
    """All counters of each call of a stack's method while it is trained."""
    found, call = list[dict[str, int]](), getattr(Stack, method)

    def calling(*words: Any) -> Any:
        clear()
        answer = call(*words)
        found.append(counters())
        return answer

    setattr(Stack, method, calling)
    try:
        spec = make_spec(*settings, "norm=batch", "divergence_factor=1e30")
        assert not stacked(spec, lanes, small(load_data(spec), 64))
    finally:
        setattr(Stack, method, call)
    return found


def captured(cases: str) -> list[list[Any]]:
    """Of settings in JSON: how many graphs are captured, and what is told; nothing of what cannot be trained."""
    found = []
    for settings in json.loads(cases):
        given = {text.split("=")[0] for text in settings}
        rest = [text for text in ("batch_size=16", *STEPS) if text.split("=")[0] not in given]
        spec = make_spec(*settings, *(text for text in rest if not (text == STEPS[0] and "epochs" in given)))
        data = small(load_data(spec), 72)
        if obstacles({"run": spec}, components(), lambda spec, data=data: data):
            continue
        clear()
        told = stacked(spec, 3, data)
        found.append([" ".join(settings), counter("captures"), told])
    return found


def memory() -> list[int]:
    """Bytes in use after one stack, and after two more that are collected."""
    spec = make_spec("model=cnn", "norm=batch", "batch_size=16", *STEPS)
    data, found = small(load_data(spec), 64), []
    for lanes in (4, 64, 4):
        stacked(spec, lanes, data)
        gc.collect()
        torch.cuda.empty_cache()
        found.append(counter("used0"))
    return found


def waiting() -> list[list[str]]:
    """What is told of layers that wait for the GPU, then of a good stack in the same process."""
    found = []
    for norm in (Reading, Bringing, Late):
        spec = make_spec("model=mlp", "norm=none", "batch_size=16", *STEPS)
        found.append(stacked(spec, 3, small(load_data(spec), 64), with_norm(norm)))
    return [
        *found,
        stacked(make_spec("model=mlp", "norm=batch", "batch_size=16", *STEPS), 3, small(load_data(spec), 64)),
    ]


def other() -> dict[str, int]:
    """What is left and waited for on GPU 0 by a stack on GPU 1."""
    spec = make_spec("model=mlp", "norm=batch", "batch_size=16", *STEPS)
    gc.collect()
    torch.cuda.empty_cache()
    clear()
    before = counter("used0"), counter("streams0")
    with current(torch.device("cuda:1")):
        stacked(spec, 3, small(load_data(spec), 64), device="cuda:1")
    assert torch.cuda.current_device() == 0 and counter("playbacks") and counter("used1")
    used, streams = counter("used0") - before[0], counter("streams0") - before[1]
    return {"used": used, "streams": streams, "synchronizations": counter("synchronizations0")}


def engine(cases: str) -> dict[str, Any]:
    """What stacks come to, one after the other in a process; those of some settings last."""
    found = {
        program.__name__: program() for program in (sizes, block, epochs, evaluations, memory, waiting, splits, other)
    }
    return {**found, "captured": captured(cases)}


def refusals(cases: str, folder: str) -> list[tuple[int, str, list[str]]]:
    """Code, messages and files of ``bnbench run`` in copies of this process, by (environment, device) in JSON."""
    found = []
    load_data(make_spec("model=mlp"))  # all that this imports is then there in the copies
    for number, (settings, device) in enumerate(json.loads(cases)):
        here = Path(folder, str(number))
        here.mkdir()
        child = os.fork()
        if child == 0:
            os.environ.update(settings)
            os.chdir(here)
            with Path("../messages").open("w") as messages:
                os.dup2(messages.fileno(), 1)
                os.dup2(messages.fileno(), 2)
            sys.argv = ["bnbench", "run", "model=mlp", "steps=2", *f"device={device}".split()]
            try:
                cli.main()
            except SystemExit as end:
                os._exit(int(end.code or 0))
            os._exit(99)
        _, status = os.waitpid(child, 0)
        said = Path(folder, "messages").read_text()
        found.append((os.waitstatus_to_exitcode(status), said, [path.name for path in here.iterdir()]))
    return found


def main() -> None:
    prepare_process()
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
