"""Memory, devices and the C compiler."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from bnbench.devices import gpus, resolved
from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding
from bnbench.environment import cores
from bnbench.memory import data_memory, free_memory
from bnbench.notices import heard

LEAST_MEMORY = 2**30
"""Bytes below which torch itself hardly fits."""


def memory() -> Iterator[Finding]:
    """Cores and free memory."""
    yield Finding("machine", "cores", OK, f"{cores()}")
    free = free_memory()
    said = f"{free / 2**30:,.1f} GiB free; data above {data_memory() / 2**30:,.2f} GiB stay on disk"
    few = free < LEAST_MEMORY
    yield Finding("machine", "memory", WRONG if few else OK, said, "end other programs, or use --jobs 1" if few else "")


def devices() -> Iterator[Finding]:
    """The device that ``device=auto`` takes, each GPU tried with one addition."""
    device = resolved("auto")
    yield Finding("machine", "device", OK, f"device=auto is {device}")
    for gpu in gpus(device):
        import torch

        try:
            right = torch.ones(2, device=gpu.name).sum().item() == 2
            free, every = torch.cuda.mem_get_info(gpu.name)
        except RuntimeError as error:
            first = str(error).partition("\n")[0]
            yield Finding(
                "machine", str(gpu), WRONG, first, "use another GPU, or device=cpu; nvidia-smi shows who uses it"
            )
            continue
        said = f"{torch.cuda.get_device_name(gpu.name)}, {free / 2**30:,.1f} of {every / 2**30:,.1f} GiB free"
        yield Finding("machine", str(gpu), OK if right else WRONG, said, "" if right else "1 + 1 is not 2 there")


def compiler() -> Iterator[Finding]:
    """The C compiler at work: the code of the native engine is compiled, unless it is there."""
    import torch

    from bnbench.native import c_compiler, library

    command, named = c_compiler(), os.environ.get("CC")
    if os.environ.get("BNBENCH_NATIVE", "").lower() == "off":
        yield Finding("machine", "C compiler", ABSENT, "BNBENCH_NATIVE=off: torch trains, which is slower")
        return
    if named and shutil.which(named) is None:
        remedy = "set CC to a compiler, or unset it" + (f"; {command} is used instead" if command else "")
        yield Finding("machine", "C compiler", WRONG, f"CC={named}: there is no such program", remedy)
    elif command is None:
        remedy = "install gcc or clang, and small networks train several times faster"
        yield Finding("machine", "C compiler", ABSENT, "there is none: torch trains", remedy)
    if command is None:
        return
    notices: list[str] = []
    with heard(notices.append):
        loaded = library(torch.float32)
    if loaded is None:
        said = "; ".join(notices) or f"{command} makes nothing that can be loaded"
        yield Finding(
            "machine", "C compiler", WRONG, said, "repair it, or set CC to another one; until then torch trains"
        )
    elif not named or shutil.which(named) is not None:
        yield Finding("machine", "C compiler", OK, "; ".join([f"{command}, its code is loaded", *notices]))
