"""A user's own .npz files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnbench.data import load, normalize
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
        ({"x": _x(4, 4), "y": Y, "x_test": _x(4, 4), "y_test": Y.astype(str)}, "y_test <U21; both must be numbers, or"),
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


SCALES = {
    "bytes and 0..1": (_x(4, 4), (_x(4, 4) / 255).astype(np.float32), "uint8 in 0..255 and float32 in 0"),
    "0..1 and 0..255": (_x(4, 4) / 255, _x(4, 4).astype(np.float64), "float64 in 0.* and float64 in 0..255"),
    "-1..1 and bytes": ((_x(4, 4) / 127.5 - 1).astype(np.float16), _x(4, 4), "float16 in -1..1 and uint8 in 0..255"),
    "16 bits and 8": (_x(4, 4).astype(np.uint16) * 257, _x(4, 4), "uint16 in 0..65535 and uint8"),
    "0..16 and 0..255": (_x(4, 4) // 16, _x(4, 4), "uint8 in 0..15 and uint8 in 0..255"),
    "one without its offset": (_x(4, 4) + 1e9, _x(4, 4) * 1.0, "float64 in 1e.09..1e.09 and float64 in 0..255"),
}


@pytest.mark.parametrize("kind", SCALES)
def test_training_and_test_arrays_on_unlike_scales_are_refused(kind: str, tmp_path: Path) -> None:
    x, x_test, received = SCALES[kind]
    np.savez(tmp_path / "data.npz", x=x, y=Y, x_test=x_test, y_test=Y)
    with pytest.raises(InvalidRequest, match=rf"data.npz: x and x_test must be on one scale, received {received}"):
        npz(tmp_path)


@pytest.mark.parametrize(
    ("x", "x_test"),
    [
        (_x(4, 4), _x(4, 4) // 20),  # dark, but some pixels shine as far as 12 of 255
        (_x(4, 4), _x(4, 4) * 0),
        (_x(5) * 1.0, np.where(np.arange(60).reshape(12, 5) == 7, 1e6, _x(5))),  # one outlier
        (_x(4, 4).astype(np.int64) + 200, _x(4, 4)),
    ],
)
def test_a_test_set_may_be_somewhat_unlike(
    x: np.ndarray[Any, Any], x_test: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    x_test.flat[0] = max(x_test.flat[0], 40) if x_test.any() else 0
    np.savez(tmp_path / "data.npz", x=x, y=Y, x_test=x_test, y_test=Y)
    raw = npz(tmp_path)
    assert raw.test_x is not None
    np.testing.assert_array_equal(raw.test_x.flatten().numpy(), x_test.flatten())


FEATURES = np.random.default_rng(1).integers(0, 17, (60, 4))
LABELS = np.arange(60) % 3
FAR = {
    "near": FEATURES,
    "seconds": FEATURES + 1.7e9,
    "meters": FEATURES * 0.01 + 5.5e6,
    "far below": FEATURES - 2.0**40,
    "tiny": FEATURES * 1e-60,
    "nanoseconds": FEATURES.astype(np.int64) + 1_700_000_000_000_000_000,
    "uint64": FEATURES.astype(np.uint64) + np.uint64(2**64 - 20),
    "int32": FEATURES.astype(np.int32) + 2**30,
    "long double": FEATURES.astype(np.longdouble) + 1.7e9,
    "big-endian": (FEATURES + 1.7e9).astype(">f8"),
}


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("kind", FAR)
def test_features_far_from_zero_are_told_apart(kind: str, official: bool, tmp_path: Path) -> None:
    """Normalized, they are the same features as near zero, in every part."""
    x, split = FAR[kind], Split(0, 0.2, 0.2, None)
    arrays = {"x": x, "y": LABELS}
    if official:
        arrays |= {"x_test": x[:9], "y_test": LABELS[:9]}
    np.savez(tmp_path / f"{kind}.npz", **arrays)
    near = {name: FEATURES[: len(array)] if name[0] == "x" else array for name, array in arrays.items()}
    np.savez(tmp_path / "oracle.npz", **near)
    found, oracle = (load(Choice.of("npz", {"path": f"{name}.npz"}), split, tmp_path) for name in (kind, "oracle"))
    for part in ("train", "validation", "test"):
        one, other = (normalize(getattr(data, part).x, data.mean, data.std, torch.float32) for data in (found, oracle))
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
        assert len(one[:, 0].unique()) > 4


@pytest.mark.parametrize("shape", [(4,), (3, 5), (3, 5, 2)])
def test_each_number_is_a_feature_standardized_by_the_training_part(shape: tuple[int, ...], tmp_path: Path) -> None:
    """The oracle is in float64; what is trained on is float32 from a float32 mean."""
    x = np.random.default_rng(2).normal(size=(60, *shape)) * np.arange(1, 1 + np.prod(shape)).reshape(shape)
    x[:, -1] = 7
    np.savez(tmp_path / "data.npz", x=x, y=LABELS)
    data = load(Choice.of("npz", {"layout": "features"}), Split(0, 0.2, 0.2, None), tmp_path)
    rows = x.reshape(60, -1)
    mean, std = rows[data.train.positions].mean(0), rows[data.train.positions].std(0)
    assert np.count_nonzero(std == 0) == np.prod(shape[1:])
    for part in (data.train, data.validation, data.test):
        found = normalize(part.x, data.mean, data.std, torch.float32)[:, :, 0, 0].numpy()
        np.testing.assert_allclose(found, (rows[part.positions] - mean) / np.where(std > 0, std, 1), atol=1e-5)


def test_features_of_training_and_test_are_in_one_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=_x(4, 6), y=Y, x_test=_x(6, 4), y_test=Y)
    with pytest.raises(InvalidRequest, match=r"must have one shape, received \[12, 4, 6\] and \[12, 6, 4\]"):
        npz(tmp_path, layout="features")


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
