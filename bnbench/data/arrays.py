"""A user's own arrays in one .npz file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from torch import Tensor

from bnbench.data.archived_arrays import array_on_disk
from bnbench.data.files import Files, own_file
from bnbench.data.options import MOST_BYTES, MOST_DISK_BYTES, printable
from bnbench.data.raw import Raw, scale_problem
from bnbench.data.room import Array, converted, in_order, parts_of, stays_on_disk
from bnbench.errors import BnbenchError, InvalidRequest, nearest

_LAYOUTS = ("auto", "nchw", "nhwc", "features")
_CHANNELS = (1, 3, 4)
_EXACT = 2**53  # up to which float64 tells whole numbers apart


def npz(root: Path, *, path: str = "data.npz", layout: str = "auto") -> Raw:
    """Arrays ``x``, ``y`` and optionally ``x_test``, ``y_test`` of an .npz file.

    Args:
        root: the data folder.
        path: the file, relative to the data folder.
        layout: what four axes mean: ``nchw``, ``nhwc``, or ``auto``, which takes the second or the last axis for the
            channels if exactly one of them is 1, 3 or 4 long, and refuses otherwise. With ``features`` each number of
            an example, whatever its axes, is a feature with a training mean and deviation of its own.

    ``x`` is [N, H, W], [N, C, H, W], [N, H, W, C], or features [N, F], which become F channels of one pixel. Bytes are
    kept, so are whole numbers within 0..255 as bytes; all else becomes float32, or float64 where float32 would round.
    ``y`` is [N]: numbers or strings, which become 0..classes-1 in ascending order.

    Raises:
        DataMissing: there is no such file.
        InvalidRequest: the arrays or the layout do not fit.
        BnbenchError: the file cannot be read, or is too large.
    """
    if layout not in _LAYOUTS:
        raise InvalidRequest([f"dataset.layout={layout}: unknown. {nearest(str(layout), _LAYOUTS)}"])
    (place,) = npz_files(root, path).values()
    arrays = _read(Path(place))
    file = Path(printable(place))
    if problems := [*_name_problems(file, arrays)]:
        raise InvalidRequest(problems)
    values, labels = np.unique(arrays["y"], return_inverse=True)
    train_y, names = torch.from_numpy(labels.astype(np.int64)), tuple(str(value) for value in values)
    if layout == "features" and "x_test" in arrays and arrays["x_test"].shape[1:] != arrays["x"].shape[1:]:
        shapes = f"received {list(arrays['x'].shape)} and {list(arrays['x_test'].shape)}"
        raise InvalidRequest([f"{file}: examples of x and x_test must have one shape, {shapes}"])
    parts = [_images(file, name, arrays[name], layout) for name in ("x", "x_test") if name in arrays]
    train_x, *test_x = map(_kept, _told_apart(parts))
    if not test_x:
        return Raw(train_x, train_y, classes=names)
    if problems := [*scale_problem(f"{file}: x", arrays["x"], "x_test", arrays["x_test"])]:
        raise InvalidRequest(problems)
    both = torch.promote_types(train_x.dtype, test_x[0].dtype)
    test_y = _known(file, arrays["y_test"], values)
    return Raw(converted(train_x, both), train_y, converted(test_x[0], both), test_y, names)


def npz_files(root: Path, path: str) -> Files:
    """The file that :func:`npz` reads, see :func:`own_file`."""
    return own_file(root, path, "npz", " with arrays x, y and optionally x_test, y_test", MOST_DISK_BYTES)


def _read(file: Path) -> dict[str, Array]:
    try:
        with file.open("rb") as stream, ZipFile(stream) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)  # a member never gives more
            packed = [member for member in members if member.compress_type != ZIP_STORED]
            if packed and declared > MOST_BYTES:
                size = f"{declared / 2**30:,.1f} GiB once unpacked; at most {MOST_BYTES / 2**30:.0f} GiB"
                raise InvalidRequest([printable(f"{file}: its arrays take {size}, unless np.savez writes them")])
            if stays_on_disk("npz", declared, "what is unpacked" if packed else f"{file}, which must not change"):
                return {
                    member.filename.removesuffix(".npy"): array_on_disk(archive, member, file) for member in members
                }
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BnbenchError:
        raise
    except Exception as error:  # damaged archives and pickled objects raise many kinds
        problem = printable(f"{file}: must be an .npz file of plain arrays ({error}). Write it with np.savez")
        raise BnbenchError(problem) from error


def _name_problems(file: Path, arrays: Mapping[str, Array]) -> list[str]:
    content = printable(f"it holds {', '.join(arrays) or 'nothing'}")
    problems = [f"{file}: must hold an array {name!r}; {content}" for name in ("x", "y") if name not in arrays]
    if ("x_test" in arrays) != ("y_test" in arrays):
        problems.append(f"{file}: must hold both x_test and y_test, or neither; {content}")
    for name in ("y", "y_test"):
        y = arrays.get(name)
        if y is not None and (y.ndim != 1 or y.dtype.kind not in "biufUS" or not _whole(y)):
            problems.append(
                f"{file}: {name} must be a vector of whole numbers or strings, received {y.dtype} {list(y.shape)}"
            )
    return problems


def _whole(y: Array) -> bool:
    return y.dtype.kind != "f" or bool(np.all(np.isfinite(y)) and np.all(y == np.round(y)))


def _known(file: Path, labels: Array, values: Array) -> Tensor:
    if (labels.dtype.kind in "US") != (values.dtype.kind in "US"):
        kinds = f"y holds {values.dtype} and y_test {labels.dtype}"
        raise InvalidRequest([printable(f"{file}: {kinds}; both must be numbers, or both strings")])
    unknown = np.setdiff1d(labels, values)
    if len(unknown):
        raise InvalidRequest([printable(f"{file}: y_test holds {unknown[0]!s}, which is no label of y")])
    return torch.from_numpy(np.searchsorted(values, labels).astype(np.int64))


def _images(file: Path, name: str, x: Array, layout: str) -> Array:
    """x as [N, C, H, W]."""
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4):
        raise InvalidRequest(
            [f"{file}: {name} must be numbers with 2, 3 or 4 axes, received {x.dtype} of shape {list(x.shape)}"]
        )
    if x.ndim == 2 or layout == "features":
        return x.reshape(len(x), math.prod(x.shape[1:]))[:, :, None, None]
    if x.ndim == 3:
        return x[:, None]
    return x.transpose(0, 3, 1, 2) if _layout(file, name, x, layout) == "nhwc" else x


def _told_apart(parts: list[Array]) -> list[Array]:
    """The same parts, or where whole numbers are too large for float64, their exact distances from the least ones."""
    kind = np.result_type(*parts)
    if kind.kind not in "iu" or not all(x.size for x in parts) or len({x.shape[1:] for x in parts}) > 1:
        return parts
    if all(-_EXACT <= int(x.min()) and int(x.max()) <= _EXACT for x in parts):
        return parts
    wide = [x.astype(kind).view(np.uint64) for x in parts]  # modulo 2**64, where distances are what they are
    least = np.minimum.reduce([x.min((0, 2, 3), keepdims=True) for x in parts]).astype(kind).view(np.uint64)
    return [x - least for x in wide]


def _kept(x: Array) -> Tensor:
    """[N, C, H, W] uint8 or float32 where these hold it exactly, else float64."""
    small = x.dtype.kind in "bu" and x.dtype.itemsize == 1
    if not small and x.dtype.kind in "iu":
        small = x.size > 0 and x.min() >= 0 and x.max() <= 255
    if small or (x.dtype.kind == "f" and x.dtype.itemsize <= 4):
        return torch.from_numpy(in_order(x, np.uint8 if small else np.float32))
    exact = torch.from_numpy(in_order(x, np.float64))
    holds = all(torch.equal(part.float().double(), part) for part in parts_of(exact))
    return converted(exact, torch.float32) if holds else exact


def _layout(file: Path, name: str, x: Array, layout: str) -> str:
    first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
    if layout != "auto":
        return layout
    if first == last:
        raise InvalidRequest(
            [f"{file}: {name} of shape {list(x.shape)} can be read in two ways; set dataset.layout=nchw or nhwc"]
        )
    return "nchw" if first else "nhwc"
