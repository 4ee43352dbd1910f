"""Layers that the compiled code has no kind for, as a user's own norm, translated into C from what they do in torch.

N batch of a lane, C channels, H, W.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bnbench.engine.folding.lane_by_lane import tensors_of
from bnbench.engine.folding.proof import magnitude
from bnbench.engine.native.compilation import library
from bnbench.engine.native.graph import NotNative
from bnbench.engine.native.tracing import Operations
from bnbench.engine.native.translation import translate
from bnbench.engine.native.vocabulary import PRELUDE

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-2}
FLOOR = 1e-2
"""Below this, numbers may be rounding noise."""


@dataclass(frozen=True)
class Code:
    """Addresses of a layer's functions for one size of batch, and the numbers of scratch memory that they need."""

    ahead: int
    back: int
    room: int


_known: dict[Hashable, Code] = {}
"""What was compiled before in this process, by what it depends on."""


def code_of(layer: nn.Module, x: Tensor) -> Code:
    """Compile what a layer of one lane does, and see that it does the same.

    Args:
        layer: a layer, which is left as it was.
        x: [N, C] or [N, C, H, W], some input.

    Raises:
        NotNative: it depends on values, draws numbers, changes in Python, or does what has no translation.
    """
    key = _key(layer, x)
    if key is not None and key in _known:
        return _known[key]
    with torch.random.fork_rng([]):
        code = _compiled(layer, x)
    if key is not None:
        _known[key] = code
    return code


def _compiled(layer: nn.Module, x: Tensor) -> Code:
    try:
        operations = Operations(layer, x)
        ahead = translate(operations.forward, "ahead", x.dtype)
        back = translate(operations.backward, "back", x.dtype)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        raise NotNative(f"{type(layer).__name__}: {error}") from error
    loaded = library(x.dtype, PRELUDE + ahead.source + back.source)
    if loaded is None:
        raise NotNative(f"{type(layer).__name__} does not compile")
    room = max(ahead.room, back.room)
    for call, name in zip(operations.calls, ("ahead", "back"), strict=True):
        given = [x, *([torch.randn_like(x)] if name == "back" else []), *operations.tensors.values()]
        if not _agrees(call, loaded[name], given, room):
            raise NotNative(f"{type(layer).__name__}: the compiled code does something else")
    return Code(_address(loaded["ahead"]), _address(loaded["back"]), room)


def _key(layer: nn.Module, x: Tensor) -> Hashable | None:
    """What code depends on: all attributes as text, and the shapes of tensors; None if that does not tell."""
    settings = [(name, repr(value)) for name, value in vars(layer).items() if name not in ("_parameters", "_buffers")]
    if any(" at 0x" in text for _, text in settings):  # an address, which another object may have later
        return None
    shapes = [(name, tuple(tensor.shape), tensor.dtype) for name, tensor in tensors_of(layer)]
    return type(layer), tuple(settings), tuple(shapes), tuple(x.shape), x.dtype


def _agrees(call: Any, function: Any, given: Sequence[Tensor], room: int) -> bool:
    """Whether a compiled function makes of some tensors what one of Python makes."""
    expected = call(*(tensor.clone() for tensor in given))
    inputs, received = [_stored(tensor) for tensor in given], [torch.empty_like(_stored(tensor)) for tensor in expected]
    scratch = torch.full((room + 1,), float("nan"), dtype=given[0].dtype)
    function(_addresses(inputs), _addresses(received), ctypes.c_void_p(scratch.data_ptr()))
    return all(
        magnitude(mine - wanted) <= TOLERANCE[scratch.dtype] * max(magnitude(wanted), FLOOR)
        for mine, wanted in zip(received, expected, strict=True)
    )


def _stored(tensor: Tensor) -> Tensor:
    """As compiled code stores it: images with their channels last."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
    return tensor.contiguous(memory_format=layout)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
