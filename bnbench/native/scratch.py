"""Scratch memory that the jobs of a stack use one after the other."""

from __future__ import annotations

import ctypes

import torch

from bnbench.native.structures import Job, Layer


class Scratch:
    """Memory for the jobs of a library, kept from one to the next: memory that is new is slow."""

    def __init__(self, library: ctypes.CDLL, dtype: torch.dtype) -> None:
        self._library, self._dtype = library, dtype
        self._numbers = torch.empty(0, dtype=dtype)

    def plan(self, job: Job, layers: ctypes.Array[Layer]) -> None:
        """Enter a job's layers, the size of its images, and the memory in which it has its places."""
        job.layers, job.layer = len(layers), ctypes.addressof(layers)
        first = layers[0].shape
        job.channels, job.positions = first.channels, first.height * first.width
        size = self._library.plan(ctypes.byref(job))
        if len(self._numbers) < size:
            self._numbers = torch.empty(size, dtype=self._dtype)
        job.scratch = self._numbers.data_ptr()
