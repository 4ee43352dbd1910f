"""A careful script: normalized tensors in memory, whole batches by index, one run after the other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cells import Job, network
from benchmarks.peers.clock import Times, Watch, report

PAD = 4


def tensors(job: Job) -> dict[str, Tensor]:
    """Images normalized once, or what is shown as it is, and labels."""
    arrays = {name: torch.from_numpy(array) for name, array in np.load(job.images).items()}
    if arrays["x_train"].dtype != torch.uint8:
        return arrays
    images = {name: array.float() / 255 for name, array in arrays.items() if name.startswith("x")}
    mean = images["x_train"].mean((0, 2, 3), keepdim=True)
    std = images["x_train"].std((0, 2, 3), keepdim=True)
    return {**arrays, **{name: (x - mean) / std for name, x in images.items()}}


def augmented(x: Tensor) -> Tensor:
    """Each image of a batch cropped at its own place after padding, and half of them mirrored."""
    count, _, height, width = x.shape
    padded = F.pad(x, (PAD, PAD, PAD, PAD))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = torch.randint(0, 2 * PAD + 1, (2, count))
    x = windows[torch.arange(count), :, top, left]
    mirrored = torch.rand(count) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy."""
    model.eval()
    loss, right = 0.0, 0
    for x_batch, y_batch in zip(x.split(1024), y.split(1024), strict=True):
        logits = model(x_batch)
        loss += F.cross_entropy(logits, y_batch, reduction="sum").item()
        right += (logits.argmax(1) == y_batch).sum().item()
    return loss / len(y), right / len(y)


def train(job: Job) -> Times:
    """One run."""
    data = tensors(job)
    x_train, y_train = data["x_train"], data["y_train"]
    watch = Watch()
    model = network(job, tuple(x_train.shape[1:]), int(y_train.max()) + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=job.lr, momentum=job.momentum)
    watch.built()
    for _ in range(job.measured):
        model.train()
        running_loss, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        order = torch.randperm(len(y_train))
        for start in range(0, len(order) - job.batch_size + 1, job.batch_size):
            index = order[start : start + job.batch_size]
            x, y = x_train[index], y_train[index]
            x = augmented(x) if job.augment else x
            optimizer.zero_grad()
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            running_loss += loss.detach() * len(y)
            right += (logits.argmax(1) == y).sum()
        evaluate(model, data["x_val"], data["y_val"])
        watch.epoch()
    evaluate(model, data["x_test"], data["y_test"])
    return watch.tested()


if __name__ == "__main__":
    report(train)
