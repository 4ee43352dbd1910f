"""What the null CUDA runtime has counted, asked by the program that runs under it."""

from __future__ import annotations

import ctypes

NAMES = (
    "launches", "playbacks", "synchronizations", "allocations", "copies in", "copies out", "copies within",
)  # fmt: skip


def counter(name: str) -> int:
    """One counter; ``used0`` is the bytes of GPU 0 in use, ``synchronizations1`` those of GPU 1 as a whole."""
    ask = ctypes.CDLL(None).null_cuda_counter
    ask.restype = ctypes.c_long
    return int(ask(name.encode()))


def counters() -> dict[str, int]:
    """All that is counted since :func:`clear`."""
    return {name: counter(name) for name in NAMES}


def clear() -> None:
    """Count from 0 again."""
    ctypes.CDLL(None).null_cuda_clear()


def nodes() -> int:
    """Nodes of the last graph that was captured."""
    ask = ctypes.CDLL(None).null_cuda_nodes
    ask.restype = ctypes.c_long
    return int(ask())
