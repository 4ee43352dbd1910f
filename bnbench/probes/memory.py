"""Memory that a training step needs beside parameters and data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import WHOLE, Batch, Pause, Value, loss_of, training_batches
from bnbench.probes.training_step import TrainingStep

LOSS = "loss"


def memory(pause: Pause) -> list[Value]:
    """``saved_bytes``: what the forward pass of one training batch keeps for the backward pass.

    It is the size of all storages that autograd holds, each counted once, for the layer that held it first (``loss``
    is the loss function, a container what it does itself); parameters and buffers are not counted, the batch of images
    is. The value of ``network`` is the sum. On a GPU also ``peak_bytes``: what a whole step, with gradients and the
    state of the optimizer, allocates at most beside what there was before it.
    """
    (batch,) = training_batches(pause, 1)
    saved = saved_bytes(pause, batch)
    values = [Value(path, "saved_bytes", float(size)) for path, size in saved.items()]
    values.append(Value(WHOLE, "saved_bytes", float(sum(saved.values()))))
    if pause.device.type == "cuda":
        values.append(Value(WHOLE, "peak_bytes", float(peak_bytes(pause, batch))))
    return values


def saved_bytes(pause: Pause, batch: Batch) -> dict[str, int]:
    """Bytes that a forward pass saves, by the path of the layer that saves them; in the order of saving."""
    network = copied(pause.network)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    sizes: dict[int, tuple[str, int]] = {}
    running = [LOSS]

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes.setdefault(storage.data_ptr(), (running[-1], storage.nbytes()))
        return tensor.detach()  # the storage stays alive, so no later one has its place

    for path, layer in network.named_modules():
        _follow(layer, path or WHOLE + ".forward", running)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(pause, network, batch)
    del loss
    found: dict[str, int] = {}
    for path, size in sizes.values():
        found[path] = found.get(path, 0) + size
    return found


def _follow(layer: nn.Module, path: str, running: list[str]) -> None:
    """Keep the innermost layer that runs at the end of ``running``."""

    def enter(layer: nn.Module, inputs: Any) -> None:
        running.append(path)

    def leave(layer: nn.Module, inputs: Any, output: Any) -> None:
        running.pop()

    layer.register_forward_pre_hook(enter)
    layer.register_forward_hook(leave)


def peak_bytes(pause: Pause, batch: Batch) -> int:
    """The most that CUDA's allocator gave out during a training step, less what it had given out before."""
    training = TrainingStep(pause)
    torch.cuda.synchronize(pause.device)
    before = torch.cuda.memory_allocated(pause.device)
    torch.cuda.reset_peak_memory_stats(pause.device)
    training.forward(batch)
    training.backward()
    training.update()
    return torch.cuda.max_memory_allocated(pause.device) - before
