"""Data of a dataset loader, and the checks it must pass. N examples, C channels, H rows, W columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bnbench.data.options import printable
from bnbench.data.room import Array, converted, parts_of, rows_at_a_time
from bnbench.errors import InvalidRequest

UNLIKE = 8.0
"""Times that training and test images may not differ in size."""


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """All examples of a dataset, before they are divided.

    Attributes:
        train_x: [N, C, H, W] uint8, float32, or float64, which becomes float32 once the examples are divided.
        train_y: [N] int64, every class 0..classes-1 at least once; of sequences [N, W] int64, any of the classes.
        test_x: the official test set, of the same type and [C, H, W]; None if there is none.
        test_y: its labels.
        classes: the names of the classes in the order of the labels; empty names them by their number.
        sequences: each of the W positions of an example has a label of its own. Their numbers are trained on as they
            are, not standardized, and are never cropped, flipped or changed in another way.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor | None = None
    test_y: Tensor | None = None
    classes: tuple[str, ...] = ()
    sequences: bool = False


def as_raw(name: str, value: Any) -> Raw:
    """Check what a loader returned: a :class:`Raw` or a pair (x, y) of tensors or arrays.

    Args:
        name: the dataset's name, for messages.
        value: images [N, C, H, W] of uint8 or floats (kept as float32 or float64) and integer labels [N].

    Raises:
        InvalidRequest: every problem found.
    """
    if isinstance(value, tuple) and len(value) == 2:
        value = Raw(*value)
    if not isinstance(value, Raw):
        raise InvalidRequest([f"dataset={name}: the loader must return Raw or a pair (x, y), received {_kind(value)}"])
    if (value.test_x is None) != (value.test_y is None):
        raise InvalidRequest([f"dataset={name}: test_x and test_y must both be given, or neither"])
    fields = ("train_x", "train_y") if value.test_x is None else ("train_x", "train_y", "test_x", "test_y")
    tensors = {field: _tensor(getattr(value, field)) for field in fields}
    if wrong := [problem for field, tensor in tensors.items() for problem in _kinds(field, tensor, value.sequences)]:
        raise InvalidRequest(f"dataset={name}: {problem}" for problem in wrong)
    if any(tensors[field].dtype == torch.float64 for field in fields[::2]):
        tensors = {field: _widened(tensor) for field, tensor in tensors.items()}
    raw = replace(value, **tensors)
    if wrong := [*_problems(raw)] or [*_scales(raw)]:
        raise InvalidRequest(f"dataset={name}: {problem}" for problem in wrong)
    classes = raw.classes or tuple(str(label) for label in range(int(raw.train_y.max()) + 1))
    return replace(raw, classes=tuple(printable(str(name)) for name in classes))


def _tensor(value: Any) -> Any:
    """A tensor of one of the kept types where ``value`` can be one; anything else unchanged."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        dtype = np.dtype(np.float64) if value.dtype.char == "g" else value.dtype.newbyteorder("=")
        value = torch.from_numpy(np.ascontiguousarray(value, dtype=dtype))
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    if value.is_floating_point():
        return value if value.dtype == torch.float64 else value.to(torch.float32)
    integers = (torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16, torch.uint32)
    return value.to(torch.int64) if value.ndim == 1 and value.dtype in integers else value


def _widened(tensor: Tensor) -> Tensor:
    return converted(tensor, torch.float64) if tensor.is_floating_point() else tensor


def _kinds(field: str, tensor: Any, sequences: bool) -> Iterator[str]:
    images = field.endswith("_x")
    labels = ("int64 tensor [N, W]", 2) if sequences else ("integer tensor [N]", 1)
    form, rank = ("uint8 or float tensor [N, C, H, W]", 4) if images else labels
    types = (torch.uint8, torch.float32, torch.float64) if images else (torch.int64,)
    if not isinstance(tensor, Tensor) or tensor.ndim != rank or tensor.dtype not in types or tensor.numel() == 0:
        yield f"{field} must be a non-empty {form}, received {_kind(tensor)}"


def _kind(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"{value.dtype} of shape {list(value.shape)}"
    return type(value).__name__


def _problems(raw: Raw) -> Iterator[str]:
    yield from _pair("train", raw.train_x, raw.train_y)
    classes = len(raw.classes) or int(raw.train_y.max()) + 1
    if classes < 2:
        yield f"at least 2 classes are needed, received {classes}"
    yield from _labels(raw, classes)
    if raw.test_x is None or raw.test_y is None:
        return
    yield from _pair("test", raw.test_x, raw.test_y)
    if raw.test_x.shape[1:] != raw.train_x.shape[1:] or raw.test_x.dtype != raw.train_x.dtype:
        yield f"test_x must be like train_x ({_kind(raw.train_x)}), received {_kind(raw.test_x)}"
    unknown = raw.test_y[(raw.test_y < 0) | (raw.test_y >= classes)]
    if unknown.numel():
        yield f"test_y holds {int(unknown[0])}, which is no class of the training examples (0..{classes - 1})"


def _scales(raw: Raw) -> Iterator[str]:
    if raw.test_x is not None:
        yield from scale_problem("train_x", raw.train_x.numpy(), "test_x", raw.test_x.numpy())


def scale_problem(train_name: str, train: Array, test_name: str, test: Array) -> Iterator[str]:
    """A sentence if the numbers of one array are :data:`UNLIKE` times those of the other, as bytes are beside 0..1.

    Both the largest of all and the largest of a median example must be, so that neither outliers nor dark images are
    refused. Zeros alone have any scale.
    """
    if not train.size or not test.size:
        return
    sizes = [_sizes(x) for x in (train, test)]
    for low, high in (sorted(float(of(size)) for size in sizes) for of in (np.max, np.median)):
        if not 0 < UNLIKE * low <= high <= np.finfo(np.float32).max:
            return
    yield (
        f"{train_name} and {test_name} must be on one scale, received {train.dtype} in {_range(train)} and "
        f"{test.dtype} in {_range(test)}; bring one to the scale of the other"
    )


def _sizes(x: Array) -> Array:
    """[N] float64, the largest absolute value of each example."""
    rows, largest = rows_at_a_time(x), np.empty(len(x))
    for at in range(0, len(x), rows):
        flat = x[at : at + rows].reshape(len(x[at : at + rows]), -1)
        largest[at : at + rows] = np.maximum(flat.max(1).astype(np.float64), -flat.min(1).astype(np.float64))
    return largest


def _range(x: Array) -> str:
    return f"{float(x.min()):g}..{float(x.max()):g}"


def _pair(field: str, x: Tensor, y: Tensor) -> Iterator[str]:
    if len(x) != len(y):
        yield f"{field}_x and {field}_y must have the same length, received {len(x)} and {len(y)}"
    if y.ndim == 2 and y.shape[1] != x.shape[3]:
        yield f"{field}_y must have a label for each of {x.shape[3]} positions, received {y.shape[1]}"
    if x.is_floating_point() and not all(bool(torch.isfinite(part.float()).all()) for part in parts_of(x)):
        yield f"{field}_x must be finite, received NaN or infinity; clean or impute it first"


def _labels(raw: Raw, classes: int) -> Iterator[str]:
    present = torch.unique(raw.train_y)
    low, high = int(present[0]), int(present[-1])
    if low < 0 or high >= classes:
        yield f"train_y must hold 0..{classes - 1}, received {low}..{high}"
    elif len(present) != classes and not raw.sequences:
        absent = sorted(set(range(classes)) - set(present.tolist()))
        names = ", ".join(repr(raw.classes[label]) if raw.classes else str(label) for label in absent[:5])
        yield f"every class needs training examples; there are none of {names} ({len(absent)} of {classes} classes)"
