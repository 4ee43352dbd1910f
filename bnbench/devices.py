"""Devices by name: whether there is a GPU is asked of torch only where there may be one."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Device:
    """A device as torch names it: ``cpu``, ``cuda`` for all GPUs, ``cuda:1`` for one."""

    name: str

    @property
    def type(self) -> str:
        """``cpu`` or ``cuda``."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return self.name


CPU = Device("cpu")


def resolved(name: str) -> Device:
    """The device that a setting stands for; see :func:`bnbench.training.resolve_device`.

    Raises:
        InvalidRequest: the named GPU is not there.
    """
    if name == "cpu" or (name == "auto" and not _may_have_gpu()):
        return CPU
    from bnbench.training import resolve_device

    return Device(str(resolve_device(name)))


def gpus(device: Device) -> Sequence[Device]:
    """The GPUs that a device stands for; none for the CPU."""
    if device.type == "cpu":
        return []
    import torch

    from bnbench import training

    return [Device(str(gpu)) for gpu in training.gpus(torch.device(device.name))]


def cards(device: Device) -> list[str]:
    """The names of the GPUs that a device stands for, as their makers call them, each once; none for the CPU."""
    found = gpus(device)
    if not found:
        return []
    import torch

    return sorted({torch.cuda.get_device_name(gpu.name) for gpu in found})


def _may_have_gpu() -> bool:
    """True if this machine has a driver of GPUs, without which torch finds none."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
