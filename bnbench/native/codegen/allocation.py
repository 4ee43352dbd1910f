"""Offsets of buffers in scratch memory."""

from __future__ import annotations

from collections.abc import Sequence

from bnbench.native.codegen.loops import Buffer

ALIGNMENT = 16
"""A buffer begins at a multiple of so many numbers of type REAL."""


def allocate(buffers: Sequence[Buffer]) -> tuple[list[int], int]:
    """The offset of each buffer, and what all of them take, in numbers of type REAL."""
    offsets, end = [], 0
    for buffer in buffers:
        offsets.append(end)
        size = buffer.count * (2 if buffer.kind == "double" else 1)  # REAL may be float
        end += (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    return offsets, end
