"""Loading, dividing and measuring; plugins; refusals."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bnbench.data import DATASETS, Augmentation, Data, Examples, Raw, as_raw, load, require_splits, to_device
from bnbench.data.examples import _copy
from bnbench.data.measures import statistics
from bnbench.data.split import divide, stratified_order
from bnbench.errors import InvalidRequest
from bnbench.spec import Choice, Split, Value


def _split(seed: int = 0, validation: float = 0.1, test: float = 0.2, train: int | None = None) -> Split:
    return Split(seed, validation, test, train)


def _digits(split: Split, **options: Value) -> Data:
    return load(Choice.of("digits", options), split, Path("absent"))


def _from(value: Any, split: Split | None = None) -> Data:
    def plugin(root: Path) -> Any:
        return value

    return load(Choice.of("mine"), split or _split(), Path("absent"), {"mine": plugin})


def _rows(data: Data) -> list[set[int]]:
    """Which examples each part holds, when an example is its own number."""
    return [set(part.x[:, 0, 0, 0].int().tolist()) for part in (data.train, data.validation, data.test)]


def _numbered(counts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return torch.arange(len(y)).float().view(-1, 1, 1, 1), y


def test_parts_are_disjoint_and_cover_everything() -> None:
    parts = _rows(_from(_numbered([50, 30, 20])))
    assert [len(part) for part in parts] == [72, 8, 20]
    assert set.union(*parts) == set(range(100))


def test_parts_are_stratified() -> None:
    data = _from(_numbered([500, 300, 200]), _split(train=72))
    assert torch.bincount(data.test.y).tolist() == [100, 60, 40]
    assert torch.bincount(data.validation.y).tolist() == [40, 24, 16]
    assert torch.bincount(data.train.y).tolist() == [36, 22, 14]


def test_the_split_depends_on_its_own_seed_only() -> None:
    value = _numbered([50, 50])
    assert _rows(_from(value)) == _rows(_from(value))
    assert _rows(_from(value)) != _rows(_from(value, _split(seed=1)))
    torch.manual_seed(7)
    assert _rows(_from(value)) == _rows(_from(value))


def test_one_share_does_not_move_what_was_chosen_before() -> None:
    value = _numbered([50, 50])
    plain = _rows(_from(value))
    more = _rows(_from(value, _split(validation=0.3)))
    fewer = _rows(_from(value, _split(train=10)))
    assert plain[2] == more[2] == fewer[2]
    assert plain[1] == fewer[1] and plain[1] < more[1]


def test_a_smaller_training_set_is_nested_in_a_larger_one() -> None:
    value = _numbered([60, 30, 10])
    kept = [_rows(_from(value, _split(train=count)))[0] for count in (3, 10, 11, 40, 72)]
    assert all(small < large for small, large in pairwise(kept))
    assert [len(rows) for rows in kept] == [3, 10, 11, 40, 72]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 5))
def test_every_beginning_is_stratified(counts: list[int], seed: int) -> None:
    """Beyond one of each class, none that was taken had a smaller claim (Webster's) than one that was not."""
    _, y = _numbered(counts)
    order = stratified_order(y, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(y)))
    sizes, taken = torch.tensor(counts).double(), torch.zeros(len(counts)).double()
    for position, label in enumerate(y[order].tolist(), 1):
        taken[label] += 1
        assert (taken > 0).sum() == min(position, len(counts))
        last = ((taken - 0.5) / sizes)[taken > 1]
        following = ((taken + 0.5) / sizes)[taken < sizes]
        if len(last) and len(following):
            assert last.max() <= following.min() + 1e-9


def test_an_official_test_set_is_used_whole() -> None:
    x, y = _numbered([20, 20])
    data = _from(Raw(x, y, x[:4] + 100, y[:4]), _split(test=0.9))
    train, validation, test = _rows(data)
    assert test == {100, 101, 102, 103}
    assert len(train) + len(validation) == 40


@pytest.mark.parametrize(
    ("counts", "split", "message"),
    [
        ([50, 50], _split(test=0.001), "split.test=0.001: .* 0 are for test, none of class"),
        ([50, 50], _split(validation=0.001), "split.validation=0.001: .* 0 are for validation"),
        ([50, 50], _split(validation=0.99, test=0.02), "split.validation=0.99: .* for training"),
        ([50, 2], _split(), "split.validation=0.1: .* none of class '1'"),
        ([50, 50], _split(train=73), "split.train=73: 72 training examples are left"),
        ([50, 50], _split(train=1), "split.train=1: .* 1 is for training, none of class"),
    ],
)
def test_divisions_that_cannot_be_made(counts: list[int], split: Split, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        _from(_numbered(counts), split)


def test_mean_and_deviation_are_those_of_the_kept_training_examples() -> None:
    data = _digits(_split(train=100))
    x = data.train.x.double()
    torch.testing.assert_close(data.mean, x.mean((0, 2, 3)).float())
    torch.testing.assert_close(data.std, x.std((0, 2, 3), correction=0).float())


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_statistics(channels: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (700, channels, 5, 4), generator=generator).to(dtype)
    x[:, 0] = 77
    mean, std = statistics(x)
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean, x.double().mean((0, 2, 3)).float())
    expected = x.double().std((0, 2, 3), correction=0).float()
    expected[0] = 1
    torch.testing.assert_close(std, expected)


def test_statistics_far_from_zero() -> None:
    x = (1e6 + torch.arange(8.0)).view(8, 1, 1, 1)
    torch.testing.assert_close(statistics(x)[1], torch.arange(8.0).std(correction=0).view(1))
    assert statistics(torch.full((9, 1, 3, 3), 0.1))[1].tolist() == [1.0]


FEW = np.random.default_rng(3).normal(size=(40, 3, 2, 2))


@pytest.mark.parametrize(
    "x", [FEW, FEW * 1e6 + 3e6, (FEW * 4).round() + 2.0**23, FEW.round() * 0 + 0.1, FEW.astype(np.float32) - 2.0**20]
)
def test_ordinary_float64_images_are_cast(x: Any) -> None:
    """Near zero, or far from it and exact in float32, or all the same: bit for bit as numpy casts them."""
    data = _from((x, np.arange(40) % 2))
    kept = {row.tobytes() for part in (data.train, data.validation, data.test) for row in part.x.numpy()}
    assert data.train.x.dtype == torch.float32
    assert kept == {row.tobytes() for row in x.astype(np.float32)}


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy, lambda x: x.astype(">f8"), lambda x: x.astype("g")])
def test_float64_images_of_a_plugin_are_counted_from_their_training_mean(form: Callable[[Any], Any]) -> None:
    """Only channels that float32 would round, all parts by the same mean; whole numbers stay exact."""
    offset, y = np.array([0, 1e9, 1e12, 2.0**40 + 1]).reshape(1, 4, 1, 1), np.arange(40) % 2
    x = np.arange(40.0).reshape(40, 1, 1, 1) + offset
    x[30:] += 100  # which must not move the mean
    x[:30, 3], x[30:, 3] = offset[0, 3], offset[0, 3] - 0.5  # constant in training
    data = _from(Raw(form(x[:30]), y[:30], form(x[30:]), y[30:]))
    plain = data.train.x[:, 0]
    assert set(plain.flatten().tolist()) < set(range(30))
    assert data.test.x[:, 0].flatten().tolist() == list(range(130, 140))
    for channel in (1, 2):
        unit = 8.0  # the power of two below 8.7, the deviation of 0..29
        center = float((plain - unit * data.train.x[:, channel]).unique())
        assert abs(center - plain.mean()) <= unit / 2
        for part in (data.validation, data.test):
            assert torch.equal(part.x[:, 0], center + unit * part.x[:, channel])
    assert data.train.x[:, 3].unique().tolist() == data.validation.x[:, 3].unique().tolist() == [0]
    assert data.test.x[:, 3].unique().tolist() == [-0.5]


def test_one_float64_part_keeps_the_other_in_step() -> None:
    x, y = FEW + 1e9, np.arange(40) % 2
    data = _from(Raw(x.round().astype(np.float32), y, x, y))
    assert data.test.x.dtype == data.train.x.dtype == torch.float32
    assert len(data.test.x.unique()) > 400


def test_images_on_unlike_scales_are_refused() -> None:
    x, y = np.abs(FEW), np.arange(40) % 2
    with pytest.raises(
        InvalidRequest, match=r"dataset=mine: train_x and test_x must be on one scale.* and float64 in 1.1.*847"
    ):
        _from(Raw(x, y, x * 255, y))


def test_results_are_kept_and_move_together() -> None:
    data = _digits(_split())
    assert _digits(_split()) is data
    assert _digits(_split(), pad=1, flip=True).augmentation == Augmentation(1, True)
    moved = data.to("meta")
    tensors = (moved.train.x, moved.train.y, moved.validation.x, moved.test.y, moved.mean, moved.std)
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert moved.shape == data.shape == (1, 8, 8)
    assert (moved.classes, moved.augmentation) == (data.classes, data.augmentation)


def _parts(data: Data) -> tuple[Examples, Examples, Examples]:
    return data.train, data.validation, data.test


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_splits_share_one_copy_of_the_images(dtype: Any, official: bool) -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (90, 2, 3, 3)).astype(dtype), np.arange(90) % 3
    value = Raw(x[:60], y[:60], x[60:], y[60:]) if official else (x, y)
    calls = []

    def mine(root: Path) -> Any:
        calls.append(root)
        return value

    splits = [load(Choice.of("mine"), _split(seed), Path("absent"), {"mine": mine}) for seed in range(6)]
    sources = {id(part.source) for data in splits for part in _parts(data)}
    assert (len(sources), len(calls)) == (2 if official else 1, 1)
    for seed, data in enumerate(splits):
        parts = divide(torch.from_numpy(y[:60] if official else y), _split(seed), ("a", "b", "c"), official)
        for part, positions in zip(_parts(data), (parts.train, parts.validation, parts.test), strict=True):
            expected = x[60:] if positions is None else x[positions.numpy()]
            np.testing.assert_array_equal(part.x.numpy(), expected.astype(data.train.x.numpy().dtype))
        mean, std = statistics(data.train.x)
        assert torch.equal(data.mean, mean) and torch.equal(data.std, std)


def test_some_of_some_examples() -> None:
    train = _digits(_split()).train
    index = torch.tensor([5, 0, 7])
    for part in (train[2:20][index], train[torch.arange(2, 20)][index]):
        assert torch.equal(part.x, train.x[2 + index]) and torch.equal(part.y, train.y[2 + index])
        assert torch.equal(part.images(index[:1] - 5), train.x[2 + index[:1]])
        assert part.nbytes == part.x.nbytes + part.y.nbytes == 3 * 64 + 3 * 8


@pytest.mark.parametrize("train", [100, None])
def test_splits_that_move_share_what_they_shared(train: int | None) -> None:
    """Images that no part has stay behind."""
    first, second = (_digits(_split(seed, train=train)) for seed in (0, 1))
    parts = [*_parts(first), *_parts(second)]
    used = {place for part in parts if part.positions is not None for place in part.positions.tolist()}
    moved = to_device([first, second, first], "meta")
    assert moved[0] is moved[2] and moved[0] is not moved[1]
    assert {id(part.source) for data in moved for part in _parts(data)} == {id(moved[0].train.source)}
    assert len(moved[0].train.source) == len(used) == (1797 if train is None else len(used)) <= 1797
    assert to_device(moved, "meta") == moved
    source, place_M = _copy(parts, "cpu")
    for part in parts:
        assert part.positions is not None
        assert torch.equal(source[part.positions if place_M is None else place_M[part.positions]], part.x)


def test_all_splits_are_required_at_once() -> None:
    """A seed may be refused that others are not: which of equally rare classes comes first is drawn."""
    x, y = _numbered([8, 2, 2, 2])
    splits = [_split(seed, validation=0.3, test=0.3, train=4) for seed in range(12)]

    def refusal(splits: list[Split]) -> list[str]:
        try:
            require_splits(Choice.of("mine"), splits, Path("absent"), {"mine": mine})
        except InvalidRequest as error:
            return list(error.problems)
        return []

    def mine(root: Path) -> Any:
        return x, y

    each = [refusal([split]) for split in splits]
    for split, problems in zip(splits, each, strict=True):
        try:
            load(Choice.of("mine"), split, Path("absent"), {"mine": mine})
            assert not problems
        except InvalidRequest as error:
            assert problems == list(error.problems)
    assert refusal(splits) == list(dict.fromkeys(problem for problems in each for problem in problems))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digit", {}, "dataset=digit: unknown. did you mean 'digits'"),
        ("digits", {"padd": 1}, "dataset.padd: unknown option. did you mean 'pad'"),
        ("digits", {"pad": -1}, "dataset.pad=-1"),
        ("digits", {"pad": 1.5}, "dataset.pad=1.5"),
        ("digits", {"flip": "yes"}, "dataset.flip=yes"),
    ],
)
def test_names_and_options_are_checked(name: str, options: dict[str, Value], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load(Choice.of(name, options), _split(), Path("absent"))


def test_every_wrong_option_is_listed() -> None:
    with pytest.raises(InvalidRequest) as caught:
        load(Choice.of("digits", {"a": 1, "b": 2, "pad": -1}), _split(), Path("absent"))
    assert len(caught.value.problems) == 3


def test_features_cannot_be_cropped() -> None:
    value = _numbered([20, 20])
    with pytest.raises(InvalidRequest, match="no pixels to crop"):
        load(Choice.of("mine", {"flip": True}), _split(), Path("absent"), {"mine": lambda root: value})


def test_a_plugin_adds_a_loader_with_options() -> None:
    def mine(root: Path, examples: int = 30) -> tuple[Any, Any]:
        return np.zeros((examples, 2, 4, 4), np.float64), (np.arange(examples) % 3).astype(np.int32)

    data = load(Choice.of("mine", {"examples": 60, "pad": 1}), _split(), Path("absent"), {**DATASETS, "mine": mine})
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    assert data.train.x.dtype == torch.float32
    assert data.std.tolist() == [1.0, 1.0]


X, Y = torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.arange(6) % 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "received NoneType"),
        (lambda: (X,), "received tuple"),
        (lambda: ([1, 2], Y), "train_x must be .* received list"),
        (lambda: (X[:, 0], Y), r"train_x must be .* of shape \[6, 2, 2\]"),
        (lambda: (X.long(), Y), "train_x must be .* torch.int64"),
        (lambda: (X, Y.float()), "train_y must be .* torch.float32"),
        (lambda: (X, Y[:, None]), "train_y must be"),
        (lambda: (X[:0], Y[:0]), "non-empty"),
        (lambda: (X, Y[:5]), "same length, received 6 and 5"),
        (lambda: (X, Y * 0), "at least 2 classes"),
        (lambda: (X, Y - 1), r"must hold 0..1, received -1..1"),
        (lambda: (X, Y * 2), "none of 1, 3 "),
        (lambda: (X / 0, Y), "NaN or infinity"),
        (lambda: (X + torch.tensor(1e300, dtype=torch.float64), Y), "NaN or infinity"),
        (lambda: (X.numpy().astype(np.uint16), Y), "train_x must be .* torch.uint16"),
        (lambda: Raw(X, Y, classes=("a", "b")), r"must hold 0..1, received 0..2"),
        (lambda: Raw(X, Y, classes=("a", "b", "c", "d")), "none of 'd'"),
        (lambda: Raw(X, Y, X), "both be given"),
        (lambda: Raw(X, Y, X.float(), Y), "like train_x"),
        (lambda: Raw(X, Y, X, Y + 1), "test_y holds 3"),
    ],
)
def test_what_a_loader_may_not_return(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        as_raw("mine", make())
    assert all(problem.startswith("dataset=mine: ") for problem in caught.value.problems)


def test_names_of_classes_can_be_printed() -> None:
    raw = as_raw("mine", Raw(X, Y, classes=("caf\udce9", "a\nb\x1b[31m", "猫")))
    assert raw.classes == ("caf\ufffd", "a\ufffdb\ufffd[31m", "猫")


def test_division_returns_ascending_positions() -> None:
    _, y = _numbered([10, 10])
    parts = divide(y, _split(), ("a", "b"), official_test=True)
    assert parts.test is None
    for part in (parts.train, parts.validation):
        assert part.tolist() == sorted(part.tolist())
