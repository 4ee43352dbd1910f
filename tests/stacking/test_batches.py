"""Every lane of a block sees what the reference engine would give its run."""

from dataclasses import replace

import pytest
import torch

from bnbench.data import Data, draw_epoch, order_of, training_batch
from bnbench.spec import RunSpec
from bnbench.stacking.batches import LaneBatches
from bnbench.training.randomness import generator
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import small

EPOCHS = 3


def reference_batches(spec: RunSpec, data: Data) -> list[tuple[torch.Tensor, torch.Tensor]]:
    streams = generator(spec.seed, "order"), generator(spec.seed, "augment")
    order = order_of(spec, data.train)
    found = []
    for _ in range(EPOCHS):
        draws = draw_epoch(order, data.augmentation, *streams)
        for position in range(order.steps):
            found.append(training_batch(data, draws, position, spec.batch_size, torch.float32))
    return found


@pytest.mark.parametrize("splits", [(0, 0, 0), (0, 1, 1), (2, 0, 1)], ids=str)
@pytest.mark.parametrize("most", [1, 3, 1000])
@pytest.mark.parametrize(
    "settings",
    [
        ["batch_size=30", "drop_last=true"],
        ["batch_size=30", "drop_last=false"],
        ["batch_size=30", "dataset.pad=1", "dataset.flip=true"],
        ["batch_size=4", "batches=single_class"],
        ["batch_size=4", "batches=single_class", "dataset.pad=1", "dataset.flip=true", "domains=[blur_1,noise_1]"],
        ["batch_size=15", "batches=alternating", "domains=[plain,contrast_0.4,brightness_1]"],
    ],
    ids=" ".join,
)
def test_blocks_hold_the_batches_of_each_run(settings: list[str], most: int, splits: tuple[int, int, int]):
    spec = make_spec(*settings)
    by_split = {seed: small(load_data(replace(spec, split=replace(spec.split, seed=seed))), 130) for seed in splits}
    specs, data = [replace(spec, seed=seed) for seed in (4, 2, 4)], [by_split[seed] for seed in splits]
    expected = [reference_batches(lane, split) for lane, split in zip(specs, data, strict=True)]
    by_data = {split: order_of(spec, split.train) for split in data}
    orders = [by_data[split] for split in data]
    least = min(order.steps for order in orders)
    batches, step = LaneBatches(specs, data, orders, torch.float32), 0
    chosen = list(range(3))
    while step < EPOCHS * least:
        x_SMCHW, y_SKN = batches.take(most)
        assert 1 <= len(y_SKN) <= min(most, batches.longest)
        for x_MCHW, y_KN in zip(x_SMCHW, y_SKN, strict=True):
            for lane, x_NCHW, y_N in zip(chosen, x_MCHW.chunk(len(chosen)), y_KN, strict=True):
                assert torch.equal(x_NCHW, expected[lane][step][0]) and torch.equal(y_N, expected[lane][step][1])
            step += 1
        if step > least and len(chosen) == 3:  # in the middle of an epoch unless a block is all that is left of it
            chosen = [0, 2]
            batches.select(chosen)


def test_a_block_ends_with_its_epoch():
    spec = make_spec("batch_size=30", "drop_last=false")
    data = small(load_data(spec), 130)
    batches = LaneBatches([spec], [data], [order_of(spec, data.train)], torch.float32)
    sizes = [tuple(batches.take(1000)[1].shape) for _ in range(3)]
    assert sizes == [(4, 1, 30), (1, 1, 10), (4, 1, 30)]
