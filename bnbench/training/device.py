"""The device of training and the settings of a training process."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from bnbench.errors import InvalidRequest, described

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Options of ``mallopt(3)``."""


def resolve_device(name: str) -> torch.device:
    """The device that a name stands for: ``auto`` takes GPUs if there are any; without an index it is all of them.

    Raises:
        InvalidRequest: the named GPU is not there.
    """
    if name == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    device = torch.device(name)
    if (device.index or 0) >= count:
        several = f"there are {count} GPUs, cuda:0 to cuda:{count - 1}"
        there = f"there is no GPU: {_why_none()}" if not count else several if count > 1 else "there is one GPU, cuda:0"
        raise InvalidRequest([f"device={name}: {there}; use device=auto or device=cpu"])
    return device


def gpus(device: torch.device) -> list[torch.device]:
    """The GPUs that a device stands for; none for the CPU."""
    if device.type != "cuda":
        return []
    if ":" in str(device):  # the annotation of its index leaves out that there may be none
        return [device]
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


def memory_of(gpu: torch.device) -> tuple[int, int]:
    """Bytes of a GPU's memory that nobody uses, and all of them.

    Raises:
        InvalidRequest: it cannot be asked, as when other programs have left nothing of it.
    """
    try:
        free, every = torch.cuda.mem_get_info(gpu)
    except RuntimeError as error:
        raise InvalidRequest(
            [f"device={gpu}: cannot be used: {_first_line(error)}; use another one, or device=cpu"]
        ) from None
    return free, every


@contextmanager
def current(device: torch.device) -> Iterator[None]:
    """Have torch take a GPU for the current one, so that nothing touches another, which would cost memory there."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.current_device()
    torch.cuda.set_device(device)
    try:
        yield
    finally:
        with suppress(RuntimeError):  # it may take nothing more
            torch.cuda.set_device(before)


def device_failure(device: torch.device) -> str | None:
    """The reason why a device takes nothing more from this process: after an assert on a GPU each call raises."""
    if device.type != "cuda":
        return None
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return _first_line(error)
    return None


def brief(error: BaseException) -> str:
    """An error in words, without the advice that torch gives with errors of a GPU."""
    text = described(error)
    return text.partition("\n")[0] if isinstance(error, torch.AcceleratorError) else text


def _why_none() -> str:
    """The reason why PyTorch sees no GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return f"PyTorch {torch.__version__} is built without CUDA"
    if visible is not None:
        return f"CUDA_VISIBLE_DEVICES={visible!r} leaves none"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return f"PyTorch says {_first_line(error)!r}"
    return "PyTorch finds none"


def _first_line(error: RuntimeError) -> str:
    """The first sentence or line of what PyTorch says, which goes on with advice."""
    return str(error).partition("\n")[0].partition(". ")[0]


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


def free_unused(device: torch.device) -> None:
    """Free memory of a GPU that is held by what nobody can reach, such as earlier stacks and their recorded steps.

    Their references go round in circles, which are found by a garbage collector that knows nothing of GPUs.
    """
    if device.type == "cuda":
        gc.collect()


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
