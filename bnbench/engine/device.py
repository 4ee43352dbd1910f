"""The device of training and the settings of a training process."""

from __future__ import annotations

import torch

from bnbench.errors import InvalidRequest


def resolve_device(name: str) -> torch.device:
    """The device that a name stands for: ``auto`` takes a GPU if there is one.

    Raises:
        InvalidRequest: the named GPU is not there.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"there are {count} GPUs" if count else "there is no GPU"
        raise InvalidRequest([f"device={name}: {there}; use device=auto or device=cpu"])
    return device


def prepare_process() -> None:
    """Make a process repeat its numbers bit for bit: one thread on the CPU, no denormals, fixed cuDNN algorithms."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
