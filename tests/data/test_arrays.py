"""A user's own .npz files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnbench.data import load
from bnbench.data.arrays import npz
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.spec import Choice, Split

Y = np.arange(12) % 3


def _x(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (12, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((8, 6), "auto", (1, 8, 6)),
        ((3, 8, 6), "auto", (3, 8, 6)),
        ((8, 6, 3), "auto", (3, 8, 6)),
        ((8, 6, 5), "nhwc", (5, 8, 6)),
        ((3, 8, 3), "nchw", (3, 8, 3)),
        ((7,), "auto", (7, 1, 1)),
    ],
)
def test_layouts(shape: tuple[int, ...], layout: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    x = _x(*shape)
    np.savez(tmp_path / "data.npz", x=x, y=Y)
    raw = npz(tmp_path, layout=layout)
    assert raw.train_x.dtype == torch.uint8
    assert tuple(raw.train_x.shape[1:]) == expected
    channels_last = layout == "nhwc" or shape == (8, 6, 3)
    np.testing.assert_array_equal(
        raw.train_x.numpy(), (x.transpose(0, 3, 1, 2) if channels_last else x).reshape(12, *expected)
    )


@pytest.mark.parametrize("shape", [(3, 8, 3), (8, 6, 5)])
def test_an_ambiguous_layout_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=_x(*shape), y=Y)
    with pytest.raises(InvalidRequest, match=r"dataset.layout=nchw or nhwc"):
        npz(tmp_path)
    with pytest.raises(InvalidRequest, match=r"dataset.layout=nhcw: unknown.*did you mean"):
        npz(tmp_path, layout="nhcw")


@pytest.mark.parametrize(
    ("dtype", "scale", "expected"),
    [
        ("float64", 1, torch.float32),
        ("float16", 1, torch.float32),
        ("int64", 1, torch.uint8),
        ("int32", 2, torch.float32),
        ("int16", -1, torch.float32),
        ("bool", 1, torch.uint8),
    ],
)
def test_types(dtype: str, scale: int, expected: torch.dtype, tmp_path: Path) -> None:
    x = (_x(4, 4).astype(np.int64) * scale).astype(dtype)
    np.savez(tmp_path / "data.npz", x=x, y=Y)
    raw = npz(tmp_path)
    assert raw.train_x.dtype == expected
    np.testing.assert_array_equal(raw.train_x[:, 0].numpy(), x.astype(np.float64))


def test_small_signed_bytes_keep_their_sign(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.full((12, 2, 2), -3, np.int8), y=Y)
    assert npz(tmp_path).train_x.flatten().tolist() == [-3.0] * 48


@pytest.mark.parametrize("names", [[5, 7, 9], ["cat", "dog", "eel"], [1.0, 2.0, 3.0]])
def test_labels_are_numbered_in_order(names: list[Any], tmp_path: Path) -> None:
    labels = np.array(names)[Y]
    np.savez_compressed(tmp_path / "data.npz", x=_x(4, 4), y=labels, x_test=_x(4, 4)[:5], y_test=labels[1:6])
    raw = npz(tmp_path)
    assert raw.classes == tuple(str(name) for name in names)
    assert raw.train_y.tolist() == Y.tolist()
    assert raw.test_y is not None and raw.test_y.tolist() == Y[1:6].tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": _x(4, 4)}, "array 'y'; it holds x"),
        ({"images": _x(4, 4), "labels": Y}, "array 'x'; it holds images, labels"),
        ({"x": _x(4, 4), "y": Y, "x_test": _x(4, 4)}, "both x_test and y_test"),
        ({"x": _x(4, 4), "y": Y + 0.5}, "whole numbers"),
        ({"x": _x(4, 4), "y": np.eye(12)}, "vector"),
        ({"x": np.array(["a"] * 12), "y": Y}, "must be numbers"),
        ({"x": _x(4, 4), "y": Y, "x_test": _x(4, 4), "y_test": Y + 1}, "y_test holds 3"),
        ({"x": _x(4, 4), "y": Y[:9]}, "12 and 9"),
        ({"x": np.full((12, 2), np.nan), "y": Y}, "NaN"),
        ({"x": _x(4, 4), "y": Y * 0}, "at least 2 classes"),
        ({"x": _x(4, 4)[:0], "y": Y[:0]}, "non-empty"),
        ({"x": _x(4, 4), "y": Y, "x_test": _x(5, 5), "y_test": Y}, "like train_x"),
    ],
)
def test_unusable_arrays(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(InvalidRequest, match=message):
        load(Choice.of("npz"), Split(0, 0.3, 0.3, None), tmp_path)


def test_a_mixture_of_bytes_and_floats(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=_x(4, 4), y=Y, x_test=_x(4, 4) + 0.5, y_test=Y)
    raw = npz(tmp_path)
    assert raw.test_x is not None and raw.train_x.dtype == raw.test_x.dtype == torch.float32


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "date.npz").touch()
    with pytest.raises(DataMissing, match=r"data.npz with arrays x, y.*Did you mean date.npz\?"):
        npz(tmp_path)


def test_pickled_and_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([{}], dtype=object), y=Y)
    with pytest.raises(BnbenchError, match="plain arrays"):
        npz(tmp_path)
    for content in (b"", b"garbage", (tmp_path / "data.npz").read_bytes()[:-30]):
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(BnbenchError, match="plain arrays"):
            npz(tmp_path)
    np.save(tmp_path / "one.npy", Y)
    with pytest.raises(BnbenchError, match="plain arrays"):
        npz(tmp_path, path="one.npy")
