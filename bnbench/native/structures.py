"""The structures of ``graph.h``, field by field."""

from __future__ import annotations

from ctypes import Structure, c_double, c_int32, c_int64, c_void_p

LINEAR, CONVOLUTION, NORM, ACTIVATION, AVERAGE, CHANNELS_FIRST, ADD, SUBSAMPLE, TRANSLATED = range(9)
NONE = -1
RELU, SIGMOID, TANH, GELU = range(4)
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
        *((name, c_int32) for name in ("kind", "function", "over", "centered", "fixed")),
        ("takes", c_int32 * 2),
        ("shape", Shape),
        ("groups", c_int64),
        ("chunk", c_int64),
        ("eps", c_double),
        ("momentum", c_double),
        ("weight", Parameter),
        ("bias", Parameter),
        *((name, c_void_p) for name in ("running_mean", "running_var", "batches")),
        ("own", c_void_p),
        *((name, c_int64) for name in ("parameters", "owned", "room")),
        *((name, c_void_p) for name in ("ahead", "back")),
        *((name, c_int64) for name in ("output", "statistics")),
        ("learns", c_int32),
        ("gradient", c_int32),
        ("to", c_int32 * 2),
        ("plus", c_int32 * 2),
    ]


PLACES = (
    *("input", "slots", "padded", "padded_gradients", "patches", "patch_gradients", "kernels", "turned"),
    *("seen", "made", "sums", "vectors", "totals", "translated"),
)
"""Of a job in its scratch memory."""


class Job(Structure):
    """Steps to make."""

    _fields_ = [
        *((name, c_int64) for name in ("lanes", "steps", "batch", "classes", "layers")),
        *((name, c_void_p) for name in ("layer", "x", "y", "lr", "momentum", "decay", "losses", "logits", "scratch")),
        ("seconds", c_void_p),
        *((name, c_double) for name in ("smoothing", "beta1", "beta2", "eps")),
        ("rule", c_int32),
        ("nesterov", c_int32),
        ("done", c_int64),
        *((name, c_int64) for name in ("channels", "positions", "slot_size", *PLACES)),
    ]
