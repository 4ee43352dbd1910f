"""A plain script: DataLoader, torchvision transforms per image, torch.optim, one run after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from benchmarks.cells import Job, network
from benchmarks.peers.clock import Times, Watch, report


class Images(Dataset[tuple[Tensor, int]]):
    """Arrays as torchvision's own MNIST and CIFAR10 classes hold them: a PIL image is made for each access."""

    def __init__(self, x_NCHW: np.ndarray, y_N: np.ndarray, transform: transforms.Compose) -> None:
        self.data = x_NCHW.transpose(0, 2, 3, 1).squeeze(-1) if x_NCHW.shape[1] == 1 else x_NCHW.transpose(0, 2, 3, 1)
        self.data = np.ascontiguousarray(self.data)
        self.targets = y_N
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), int(self.targets[index])


def loaders(job: Job) -> tuple[DataLoader, DataLoader, DataLoader, tuple[int, int, int], int]:
    """Training, validation and test batches; the shape of an image; the number of classes."""
    arrays = np.load(job.images)
    parts = [(arrays[f"x_{name}"], arrays[f"y_{name}"]) for name in ("train", "val", "test")]
    are_images = parts[0][0].dtype == np.uint8
    train, validation, test = images(parts, job.augment) if are_images else map(vectors, parts)
    return (
        DataLoader(train, job.batch_size, shuffle=True, drop_last=True),
        DataLoader(validation, 1024),
        DataLoader(test, 1024),
        parts[0][0].shape[1:],
        int(parts[0][1].max()) + 1,
    )


def vectors(part: tuple[np.ndarray, np.ndarray]) -> TensorDataset:
    """Examples that are shown as they are."""
    return TensorDataset(*map(torch.from_numpy, part))


def images(parts: list[tuple[np.ndarray, np.ndarray]], augment: bool) -> Iterator[Images]:
    """Training, validation and test images, normalized by the first."""
    x_train = parts[0][0]
    channels = tuple(range(x_train.shape[1]))
    mean = [float(x_train[:, channel].mean() / 255) for channel in channels]
    std = [float(x_train[:, channel].std() / 255) for channel in channels]
    plain = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    size = x_train.shape[-1]
    random = [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()] if augment else []
    for number, (x, y) in enumerate(parts):
        yield Images(x, y, transforms.Compose([*random, *plain] if number == 0 else plain))


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Mean loss and accuracy."""
    model.eval()
    device = next(model.parameters()).device
    loss, right, count = 0.0, 0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        logits = model(x)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        right += (logits.argmax(1) == y).sum().item()
        count += len(y)
    return loss / count, right / count


def train(job: Job) -> Times:
    """One run."""
    train_loader, val_loader, test_loader, shape, classes = loaders(job)
    watch = Watch()
    model = network(job, shape, classes).to(job.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=job.lr, momentum=job.momentum)
    watch.built()
    for _ in range(job.measured):
        model.train()
        running_loss, right = 0.0, 0
        for x, y in train_loader:
            x, y = x.to(job.device), y.to(job.device)
            optimizer.zero_grad()
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
        evaluate(model, val_loader)
        watch.epoch()
    evaluate(model, test_loader)
    return watch.tested()


if __name__ == "__main__":
    report(train)
