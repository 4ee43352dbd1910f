"""Recording on a GPU: a CUDA graph."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch


class CudaGraphs:
    """Records and plays back CUDA graphs beside the default stream; see :class:`Recorder`.

    Graphs keep the memory that a step needs between two playbacks, gradients and activations included. They share it,
    for none is played back while another one is, and none reads what another one leaves there.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
        self._stream = _side_stream(self._device)
        self._first: weakref.ref[torch.cuda.CUDAGraph] | None = None

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Work on the side stream, after all that was given to the current one and before all that will be."""
        outer = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outer)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outer.wait_stream(self._stream)

    @contextmanager
    def rehearsal(self) -> Iterator[list[str]]:
        """See :meth:`Recorder.rehearsal`: a recording cannot wait for the device."""
        reasons: list[str] = []
        mode = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield reasons
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        if any("called a synchronizing" in str(warning.message) for warning in caught):
            reasons.append("a layer waits for the GPU, to read a value or to bring one there")

    def record(self, body: Callable[[], object]) -> Callable[[], None]:
        """Capture ``body``; nothing of it is done before the first playback.

        Raises:
            RuntimeError: what ``body`` does cannot be captured, such as reading a value back from the device.
        """
        graph = torch.cuda.CUDAGraph()
        first = self._first() if self._first is not None else None
        try:
            with torch.cuda.graph(graph, pool=None if first is None else first.pool(), stream=self._stream):
                body()
        except BaseException:
            with suppress(RuntimeError):
                graph.reset()  # a half captured graph holds memory and the generators of random numbers
            raise
        if first is None:
            self._first = weakref.ref(graph)
        return graph.replay


def recorder_for(device: torch.device) -> CudaGraphs | None:
    """A recorder of steps on a device; None where there is nothing to gain."""
    return CudaGraphs(device) if device.type == "cuda" else None


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one of a device: cuBLAS keeps workspace for each stream that it has seen."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
