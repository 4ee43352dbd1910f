"""Layers that the compiled code has no kind for, as a user's own norm, translated into C from what they do in torch.

N batch of a lane, C channels, H, W.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.errors import message_of
from bnbench.native.codegen.aten_graph import Call, calls_of, operations_of
from bnbench.native.codegen.aten_ops import PRELUDE
from bnbench.native.codegen.emitter import emit
from bnbench.native.codegen.lowering import lower
from bnbench.native.compiler import library, may_compile
from bnbench.native.graph import CustomLayer, NotNative, NotReady
from bnbench.native.structures import Layer
from bnbench.norms.common.copying import copied
from bnbench.stacking.layers.per_lane import tensors_of, without_tensors
from bnbench.stacking.proof import magnitude
from bnbench.training.module_state import changed, state_of
from bnbench.user_cache import keep, kept_folder, kept_text, source_hash

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-2}
ENTRIES = "forward", "backward"
"""Functions of a source."""
FLOOR = 1e-2
"""The size below which numbers may be rounding noise."""


@dataclass(frozen=True)
class Code:
    """Addresses of a layer's functions for one size of batch, and the numbers of scratch memory that they need."""

    forward: int
    backward: int
    workspace: int

    def enter(self, layer: Layer) -> None:
        """Have a layer run by these functions."""
        layer.forward, layer.backward, layer.workspace = self.forward, self.backward, self.workspace


_known: dict[tuple[torch.dtype, str], Code] = {}
"""Code that this process has compiled before, by type of numbers and :func:`_key`."""


def input_of(custom: CustomLayer, batch: int, dtype: torch.dtype) -> Tensor:
    """Some input of a layer, [N, *], the same each time."""
    return torch.randn(batch, *custom.shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def code_of(layer: nn.Module, x: Tensor) -> Code:
    """Compile what a layer of one lane does, and see that it does the same.

    Sources are kept, since to follow a layer takes seconds; whether one is of this layer is seen by what it does.

    Args:
        layer: a layer, which is left as it was.
        x: [N, C] or [N, C, H, W], some input.

    Raises:
        NotNative: it depends on values, draws numbers, changes in Python, or does what has no translation; or, as
            :class:`NotReady`, it is not compiled yet and may not be here.
    """
    key = _key(layer, x)
    if key is not None and (x.dtype, key) in _known:
        return _known[x.dtype, key]
    with torch.enable_grad(), torch.random.fork_rng([]):
        folder = None if key is None else kept_folder("translations")
        path = None if folder is None else folder / f"{key}.c"
        stored = None if path is None else kept_text(path)
        code = None if stored is None else _loaded(layer, x, stored)
        if code is None and path is not None and not may_compile():
            raise NotReady(f"{type(layer).__name__}, which is not compiled yet")
        if code is None:
            source = _translated(layer, x)
            code = _loaded(layer, x, source)
            if code is None:
                raise NotNative(f"{type(layer).__name__}, whose translation does something else or does not compile")
            if path is not None:
                keep(path, source)
    if key is not None:
        _known[x.dtype, key] = code
    return code


def _translated(layer: nn.Module, x: Tensor) -> str:
    """The source of a layer's functions, found in float64 and the same for all types of numbers."""
    try:
        graphs = operations_of(copied(layer).double(), x.double())
        forward, backward = (
            emit(lower(graph, torch.float64), name) for graph, name in zip(graphs, ENTRIES, strict=True)
        )
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        raise NotNative(f"{type(layer).__name__}: {message_of(error)}") from error
    workspace = max(forward.workspace, backward.workspace)
    return f"{PRELUDE}{forward.source}{backward.source}const int64_t workspace = {workspace};\n"


def _loaded(layer: nn.Module, x: Tensor, source: str) -> Code | None:
    """Code from a source, if it does what the layer does: the source may be of another layer that looks the same."""
    loaded, calls = library(x.dtype, source), calls_of(layer)
    if loaded is None:
        if not may_compile():
            raise NotReady(f"{type(layer).__name__}, which is not compiled yet")
        return None
    try:
        workspace, before = ctypes.c_int64.in_dll(loaded, "workspace").value, state_of(layer)
    except ValueError:  # the source is not one of ours
        return None
    forward, backward = (loaded[name] for name in ENTRIES)
    same = _agrees(calls.forward, forward, [x, *calls.tensors], workspace)
    same = same and _agrees(calls.backward, backward, [x, torch.randn_like(x), *calls.tensors], workspace)
    if not same or changed(before, state_of(layer)):
        return None
    return Code(_address(forward), _address(backward), workspace)


def _key(layer: nn.Module, x: Tensor) -> str | None:
    """A hash of what a source depends on, a layer's mode, content in Python and shapes; None if some is hidden.

    The numbers in its parameters and buffers are no part of it: they change with every step.
    """
    settings = state_of(without_tensors(layer)).digest()
    if settings is None:
        return None
    shapes = [(name, tuple(tensor.shape), tensor.is_floating_point()) for name, tensor in tensors_of(layer)]
    kind = type(layer).__module__, type(layer).__qualname__, layer.training, settings, shapes
    about = *kind, tuple(x.shape), torch.__version__, source_hash("native/codegen")
    return hashlib.sha256(repr(about).encode()).hexdigest()[:24]


def _agrees(call: Call, function: Any, arguments: Sequence[Tensor], workspace: int) -> bool:
    """True if a compiled function and one of Python make the same of some tensors."""
    expected = call(*(tensor.clone() for tensor in arguments))
    inputs = [_stored(tensor) for tensor in arguments]
    received = [torch.empty_like(_stored(tensor)) for tensor in expected]
    scratch = torch.full((workspace + 1,), float("nan"), dtype=arguments[0].dtype)
    function(_addresses(inputs), _addresses(received), ctypes.c_void_p(scratch.data_ptr()))
    return all(
        magnitude(result - reference) <= TOLERANCE[scratch.dtype] * max(magnitude(reference), FLOOR)
        for result, reference in zip(received, expected, strict=True)
    )


def _stored(tensor: Tensor) -> Tensor:
    """A tensor as compiled code stores it: images with their channels last."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
    return tensor.contiguous(memory_format=layout)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
