"""The structures of ``job.h``, field by field, compared with its own when a library is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import CDLL, Structure, c_char_p, c_double, c_int32, c_int64, c_void_p, sizeof
from itertools import takewhile

LINEAR, CONVOLUTION, NORM, ACTIVATION, AVERAGE, CHANNELS_FIRST, ADD, SUBSAMPLE, CUSTOM = range(9)
PATCHES, POSITIONS, ATTENTION, DEPTHWISE, DROPOUT, MAXIMUM = range(9, 15)
MOST_INPUTS = 3
WAYS = {ADD: 2, ATTENTION: 3}
"""The inputs of kinds of layers that take more than one."""
NONE = -1
RELU, SIGMOID, TANH, GELU, RELU6 = range(5)
BATCH, EXAMPLE, POSITION = range(3)
SGD, ADAM, ADAMW = range(3)


class Shape(Structure):
    """Sizes of the images before and after a layer, and of its kernel."""

    _fields_ = [
        (name, c_int64)
        for name in (
            *("height", "width", "channels", "rows", "columns", "outputs", "kernel_rows", "kernel_columns"),
            *("row_stride", "column_stride", "row_dilation", "column_dilation", "top", "left", "bottom", "right"),
        )
    ]


class Parameter(Structure):
    """A tensor that may be trained, and what its optimizer keeps of it."""

    _fields_ = [
        ("values", c_void_p),
        ("state", c_void_p * 2),
        ("size", c_int64),
        ("trained", c_int32),
        ("decays", c_int32),
    ]


class Layer(Structure):
    """One layer."""

    _fields_ = [
        *((name, c_int32) for name in ("kind", "function", "over", "centered", "fixed", "causal")),
        ("inputs", c_int32 * MOST_INPUTS),
        ("shape", Shape),
        ("groups", c_int64),
        ("chunk", c_int64),
        ("eps", c_double),
        ("momentum", c_double),
        ("weight", Parameter),
        ("bias", Parameter),
        ("pitch", c_int64),
        ("place", c_int64),
        *((name, c_void_p) for name in ("running_mean", "running_var", "batches", "factors")),
        ("tensors", c_void_p),
        *((name, c_int64) for name in ("parameter_count", "tensor_count", "workspace")),
        *((name, c_void_p) for name in ("forward", "backward")),
        *((name, c_int64) for name in ("output", "statistics")),
        ("needs_grad", c_int32),
        ("gradient", c_int32),
        ("to", c_int32 * MOST_INPUTS),
        ("plus", c_int32 * MOST_INPUTS),
    ]


PLACES = (
    *("input", "slots", "padded", "padded_gradients", "patches", "patch_gradients", "kernels", "transposed"),
    *("input_tiles", "output_tiles", "sums", "vectors", "totals", "workspace"),
)
"""Offsets in a job's scratch memory."""


class Job(Structure):
    """Steps to make."""

    _fields_ = [
        *((name, c_int64) for name in ("lanes", "steps", "batch", "classes", "labels", "layers")),
        *((name, c_void_p) for name in ("layer", "x", "y", "lr", "momentum", "decay", "losses", "logits", "split")),
        *((name, c_void_p) for name in ("scratch", "seconds")),
        *((name, c_double) for name in ("smoothing", "beta1", "beta2", "eps")),
        ("rule", c_int32),
        ("nesterov", c_int32),
        ("steps_before", c_int64),
        *((name, c_int64) for name in ("channels", "positions", "slot_size", *PLACES)),
    ]


class Entry(Structure):
    """A line of the table ``layout`` of a library: a structure, a field of one, or a constant."""

    _fields_ = [("name", c_char_p), ("offset", c_int64), ("size", c_int64)]


MOST_ENTRIES = 1000
KINDS = (
    *("LINEAR", "CONVOLUTION", "NORM", "ACTIVATION", "AVERAGE", "CHANNELS_FIRST", "ADD", "SUBSAMPLE", "CUSTOM"),
    *("PATCHES", "POSITIONS", "ATTENTION", "DEPTHWISE", "DROPOUT", "MAXIMUM"),
)
CONSTANTS = (
    *KINDS,
    *("MOST_INPUTS", "NONE", "RELU", "SIGMOID", "TANH", "GELU", "RELU6", "BATCH", "EXAMPLE", "POSITION"),
    *("SGD", "ADAM", "ADAMW"),
)


def require_same_layout(loaded: CDLL) -> None:
    """Stop with an AssertionError if a library's structures or constants are not the ones of this file."""
    table = (Entry * MOST_ENTRIES).in_dll(loaded, "layout")
    entries = takewhile(lambda entry: entry.name is not None, table)
    compiled = {entry.name.decode(): (entry.offset, entry.size) for entry in entries}
    mirrored = dict(_mirrored())
    differing = [name for name in {**compiled, **mirrored} if compiled.get(name) != mirrored.get(name)]
    if differing:
        name = differing[0]
        raise AssertionError(
            f"structures.py must mirror the compiled code: {name} is {_told(mirrored.get(name))} there and "
            f"{_told(compiled.get(name))} in C"
        )


def _mirrored() -> Iterator[tuple[str, tuple[int, int]]]:
    """The offset and the size of what this file mirrors; of numbers the value and 0."""
    for structure in (Shape, Parameter, Layer, Job):
        yield structure.__name__, (0, sizeof(structure))
        for name, *_ in structure._fields_:
            place = getattr(structure, name)
            yield f"{structure.__name__}.{name}", (place.offset, place.size)
    for name in CONSTANTS:
        yield name, (globals()[name], 0)
    for name in KINDS:
        yield f"inputs of {name}", (WAYS.get(globals()[name], 1), 0)


def _told(entry: tuple[int, int] | None) -> str:
    if entry is None:
        return "missing"
    offset, size = entry
    return f"{size} bytes from byte {offset}" if size else f"the number {offset}"
