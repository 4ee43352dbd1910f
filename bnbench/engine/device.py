"""The device of training and the settings of a training process."""

from __future__ import annotations

import ctypes
import sys
import warnings

import torch

from bnbench.errors import InvalidRequest

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Options of ``mallopt(3)``."""


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
    """Make a process repeat its numbers bit for bit: one thread on the CPU, no denormals, fixed cuDNN algorithms.

    Float32 is float32 on every device: no TF32 in convolutions or products. It also keeps the memory that tensors free
    for the next ones, and does not warn of single operations of a layer that ``torch.vmap`` takes lane by lane.
    """
    _keep_freed_memory()
    warnings.filterwarnings("ignore", ".*batching rule", UserWarning)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def release_memory() -> None:
    """Give freed memory back to the system after all, where the C library is glibc: others will need it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None and sys.platform == "linux":
        trim(0)


def _keep_freed_memory() -> None:
    """Tell glibc, if it is the C library, not to give freed memory back to the system after every large tensor.

    Otherwise each step of training gets its activations as fresh pages: 5 to 12 % of the time of a small CNN.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_TOP_PAD, 2**26)
