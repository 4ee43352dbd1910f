"""Batches: an epoch's draws, normalization, and augmentation against a loop over the images."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bnbench.data import Augmentation, Shuffled, augment, draw_epoch, load, normalize, training_batch
from bnbench.spec import Choice, Split


def _generators(order: int = 0, augmentation: int = 1) -> tuple[torch.Generator, torch.Generator]:
    return torch.Generator().manual_seed(order), torch.Generator().manual_seed(augmentation)


def _shuffled(n: int) -> Shuffled:
    return Shuffled(n, 32, drop_last=False)


def _one_by_one(x: Tensor, pad: int, dy: Tensor, dx: Tensor, flip: Tensor) -> Tensor:
    n, c, h, w = x.shape
    out = torch.empty_like(x)
    for i in range(n):
        canvas = torch.zeros(c, h + 2 * pad, w + 2 * pad, dtype=x.dtype)
        canvas[:, pad : pad + h, pad : pad + w] = x[i]
        crop = canvas[:, dy[i] : dy[i] + h, dx[i] : dx[i] + w]
        out[i] = crop.flip(2) if flip[i] else crop
    return out


@pytest.mark.parametrize("pad", [0, 1, 4, 9])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (17, 3, 6, 9), (64, 3, 32, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_augmentation_is_that_of_a_loop(pad: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(dtype)
    draws = draw_epoch(_shuffled(shape[0]), Augmentation(pad, True), *_generators())
    assert draws.dy is not None and draws.dx is not None and draws.flip is not None
    before = x.clone()
    result = augment(x, pad, draws.dy, draws.dx, draws.flip)
    assert torch.equal(result, _one_by_one(x, pad, draws.dy, draws.dx, draws.flip))
    assert torch.equal(x, before)


def test_draws_cover_their_range() -> None:
    draws = draw_epoch(_shuffled(4000), Augmentation(2, True), *_generators())
    assert draws.dy is not None and draws.dx is not None and draws.flip is not None
    assert draws.order.sort().values.tolist() == list(range(4000))
    for offset in (draws.dy, draws.dx):
        assert torch.bincount(offset, minlength=5).min() > 700 and offset.max() == 4
    assert 0.45 < draws.flip.float().mean() < 0.55
    assert not torch.equal(draws.dy, draws.dx)


def test_streams_are_independent() -> None:
    plain = draw_epoch(_shuffled(100), Augmentation(), *_generators())
    padded = draw_epoch(_shuffled(100), Augmentation(4, True), *_generators())
    flipped = draw_epoch(_shuffled(100), Augmentation(0, True), *_generators())
    other = draw_epoch(_shuffled(100), Augmentation(4, True), *_generators(order=5))
    assert plain.dy is plain.dx is plain.flip is None
    assert torch.equal(plain.order, padded.order)
    assert padded.flip is not None and flipped.flip is not None and torch.equal(padded.flip, flipped.flip)
    assert padded.dy is not None and other.dy is not None and torch.equal(padded.dy, other.dy)


def test_no_augmentation_draws_nothing() -> None:
    order, augmentation = _generators()
    before = augmentation.get_state()
    draw_epoch(_shuffled(10), Augmentation(), order, augmentation)
    assert torch.equal(before, augmentation.get_state())


def test_crops_without_flips() -> None:
    draws = draw_epoch(_shuffled(50), Augmentation(3, False), *_generators())
    assert draws.flip is not None and not draws.flip.any()


def test_the_same_seeds_give_the_same_epochs() -> None:
    left, right = _generators(), _generators()
    for _ in range(3):
        a, b = (
            draw_epoch(_shuffled(50), Augmentation(3, True), *left),
            draw_epoch(_shuffled(50), Augmentation(3, True), *right),
        )
        assert torch.equal(a.order, b.order)
        assert a.dx is not None and b.dx is not None and torch.equal(a.dx, b.dx)


@pytest.mark.parametrize("source", [torch.uint8, torch.float32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_normalization(source: torch.dtype, dtype: torch.dtype) -> None:
    x = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0)).to(source)
    mean, std, before = torch.tensor([100.0, 120.0, 90.0]), torch.tensor([50.0, 60.0, 1.0]), x.clone()
    result = normalize(x, mean, std, dtype)
    expected = (x.double() - mean.double().view(3, 1, 1)) / std.double().view(3, 1, 1)
    assert result.dtype == dtype
    torch.testing.assert_close(result, expected.to(dtype))
    assert torch.equal(x, before)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(2, True)])
def test_an_epoch_of_batches(augmentation: Augmentation) -> None:
    options = {"pad": augmentation.pad, "flip": augmentation.flip}
    data = load(Choice.of("digits", options), Split(0, 0.1, 0.2, 100), Path("absent"))
    draws = draw_epoch(_shuffled(100), augmentation, *_generators())
    batches = [training_batch(data, draws, step, 32, torch.float64) for step in range(4)]
    assert [len(y) for _, y in batches] == [32, 32, 32, 4]
    assert torch.equal(torch.cat([y for _, y in batches]), data.train.y[draws.order])
    whole = normalize(data.train.x[draws.order], data.mean, data.std, torch.float64)
    if draws.dy is not None and draws.dx is not None and draws.flip is not None:
        whole = _one_by_one(whole, 2, draws.dy, draws.dx, draws.flip)
    assert torch.equal(torch.cat([x for x, _ in batches]), whole)


def test_draws_move() -> None:
    for augmentation in (Augmentation(), Augmentation(1, True)):
        draws = draw_epoch(_shuffled(4), augmentation, *_generators()).to("meta")
        assert draws.order.device.type == "meta"
        assert (draws.flip is None) != augmentation.active
        assert draws.flip is None or draws.flip.device.type == "meta"
