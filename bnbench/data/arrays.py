"""A user's own arrays in one .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bnbench.data.options import neighbours
from bnbench.data.raw import Raw
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest, nearest

Array = np.ndarray[Any, np.dtype[Any]]
_LAYOUTS = ("auto", "nchw", "nhwc")
_CHANNELS = (1, 3, 4)


def npz(root: Path, *, path: str = "data.npz", layout: str = "auto") -> Raw:
    """Arrays ``x``, ``y`` and optionally ``x_test``, ``y_test`` of an .npz file.

    Args:
        root: the data folder.
        path: the file, relative to the data folder.
        layout: what four axes mean: ``nchw``, ``nhwc``, or ``auto``, which takes the second or the last axis for the
            channels if exactly one of them is 1, 3 or 4 long, and refuses otherwise.

    ``x`` is [N, H, W], [N, C, H, W], [N, H, W, C], or features [N, F], which become F channels of one pixel. Bytes are
    kept, so are whole numbers within 0..255 as bytes; all else becomes float32. ``y`` is [N]: numbers or strings, which
    become 0..classes-1 in ascending order.

    Raises:
        DataMissing: there is no such file.
        InvalidRequest: the arrays or the layout do not fit.
        BnbenchError: the file cannot be read.
    """
    if layout not in _LAYOUTS:
        raise InvalidRequest([f"dataset.layout={layout}: unknown. {nearest(str(layout), _LAYOUTS)}"])
    file = root / path
    arrays = _read(file)
    if problems := [*_name_problems(file, arrays)]:
        raise InvalidRequest(problems)
    values, labels = np.unique(arrays["y"], return_inverse=True)
    train_x, train_y = _images(file, "x", arrays["x"], layout), torch.from_numpy(labels.astype(np.int64))
    names = tuple(str(value) for value in values)
    if "x_test" not in arrays:
        return Raw(train_x, train_y, classes=names)
    test_x = _images(file, "x_test", arrays["x_test"], layout)
    if test_x.dtype != train_x.dtype:
        train_x, test_x = train_x.float(), test_x.float()
    return Raw(train_x, train_y, test_x, _known(file, arrays["y_test"], values), names)


def _read(file: Path) -> dict[str, Array]:
    if not file.is_file():
        raise DataMissing(
            f"dataset=npz: expected the file {file} with arrays x, y and optionally x_test, y_test. {neighbours(file)}"
        )
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # damaged archives and pickled objects raise many kinds
        raise BnbenchError(f"{file}: must be an .npz file of plain arrays ({error}). Write it with np.savez") from error


def _name_problems(file: Path, arrays: Mapping[str, Array]) -> list[str]:
    held = f"it holds {', '.join(arrays) or 'nothing'}"
    found = [f"{file}: must hold an array {name!r}; {held}" for name in ("x", "y") if name not in arrays]
    if ("x_test" in arrays) != ("y_test" in arrays):
        found.append(f"{file}: must hold both x_test and y_test, or neither; {held}")
    for name in ("y", "y_test"):
        y = arrays.get(name)
        if y is not None and (y.ndim != 1 or y.dtype.kind not in "biufUS" or not _whole(y)):
            found.append(
                f"{file}: {name} must be a vector of whole numbers or strings, received {y.dtype} {list(y.shape)}"
            )
    return found


def _whole(y: Array) -> bool:
    return y.dtype.kind != "f" or bool(np.all(np.isfinite(y)) and np.all(y == np.round(y)))


def _known(file: Path, labels: Array, values: Array) -> Tensor:
    unknown = np.setdiff1d(labels, values)
    if len(unknown):
        raise InvalidRequest([f"{file}: y_test holds {unknown[0]!s}, which is no label of y"])
    return torch.from_numpy(np.searchsorted(values, labels).astype(np.int64))


def _images(file: Path, name: str, x: Array, layout: str) -> Tensor:
    """x as [N, C, H, W] uint8 or float32."""
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4):
        raise InvalidRequest(
            [f"{file}: {name} must be numbers with 2, 3 or 4 axes, received {x.dtype} of shape {list(x.shape)}"]
        )
    if x.ndim == 2:
        x = x[:, :, None, None]
    elif x.ndim == 3:
        x = x[:, None]
    elif _layout(file, name, x, layout) == "nhwc":
        x = x.transpose(0, 3, 1, 2)
    small = x.dtype.kind in "bu" and x.dtype.itemsize == 1
    if not small and x.dtype.kind in "iu":
        small = x.size > 0 and x.min() >= 0 and x.max() <= 255
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.uint8 if small else np.float32))


def _layout(file: Path, name: str, x: Array, layout: str) -> str:
    first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
    if layout != "auto":
        return layout
    if first == last:
        raise InvalidRequest(
            [f"{file}: {name} of shape {list(x.shape)} can be read in two ways; set dataset.layout=nchw or nhwc"]
        )
    return "nchw" if first else "nhwc"
