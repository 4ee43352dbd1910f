"""CIFAR and SVHN as torchvision keeps them, decoded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bnbench.data.cache import Source, cached
from bnbench.data.download import ensure
from bnbench.data.options import printable
from bnbench.data.raw import Raw
from bnbench.errors import BnbenchError

_CIFAR10_FILES = tuple(
    f"cifar-10-batches-py/{name}"
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
)
_CIFAR100_FILES = tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))
_SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
ARCHIVES = {"cifar10": _CIFAR10_FILES, "cifar100": _CIFAR100_FILES, "svhn": _SVHN_FILES}
"""The files of each dataset, relative to the data folder."""


def cifar10(root: Path) -> Raw:
    """CIFAR-10 (Krizhevsky 2009): color photographs in 10 classes."""
    return _load("cifar10", root, _CIFAR10_FILES, lambda folder, download: _cifar("CIFAR10", folder, download))


def cifar100(root: Path) -> Raw:
    """CIFAR-100 (Krizhevsky 2009): color photographs in 100 fine classes."""
    return _load("cifar100", root, _CIFAR100_FILES, lambda folder, download: _cifar("CIFAR100", folder, download))


def svhn(root: Path) -> Raw:
    """Street View House Numbers (Netzer et al. 2011), cropped digits, without the extra set."""
    return _load("svhn", root, _SVHN_FILES, _svhn)


def _load(name: str, root: Path, files: tuple[str, ...], read: Callable[[Path, bool], Raw]) -> Raw:
    ensure(name, root, files, lambda staging: read(staging, True))

    def decode() -> Raw:
        try:
            return read(root, False)
        except Exception as error:  # torchvision checks sums; unpickling a damaged file can raise anything
            raise BnbenchError(
                printable(f"dataset={name}: the files {', '.join(files)} in {root} are damaged ({error}). ")
                + "Delete them, and they are downloaded again"
            ) from error

    return cached(root, Source(name, root, files, ""), decode)


def _cifar(kind: str, folder: Path, download: bool) -> Raw:
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, kind)
    train, test = dataset(str(folder), train=True, download=download), dataset(str(folder), train=False)
    parts = (_channels_first(train.data), _labels(train.targets), _channels_first(test.data), _labels(test.targets))
    return Raw(*parts, tuple(train.classes))


def _svhn(folder: Path, download: bool) -> Raw:
    import torchvision.datasets

    train = torchvision.datasets.SVHN(str(folder), split="train", download=download)
    test = torchvision.datasets.SVHN(str(folder), split="test", download=download)
    parts = (torch.from_numpy(np.ascontiguousarray(part.data)) for part in (train, test))
    train_x, test_x = parts
    return Raw(train_x, _labels(train.labels), test_x, _labels(test.labels), tuple("0123456789"))


def _channels_first(images_NHWC: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.transpose(images_NHWC, (0, 3, 1, 2))))


def _labels(values: Any) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.int64)
