"""MNIST and its relatives, read from the IDX files that torchvision keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bnbench.data.download import ensure
from bnbench.data.files import Files, file_status
from bnbench.data.options import printable
from bnbench.data.raw import Raw
from bnbench.errors import BnbenchError

_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def mnist(root: Path) -> Raw:
    """MNIST (LeCun et al. 1998): handwritten digits."""
    return _load("mnist", "MNIST", root, _DIGITS)


def fashion_mnist(root: Path) -> Raw:
    """Fashion-MNIST (Xiao et al. 2017): articles of clothing."""
    return _load("fashion_mnist", "FashionMNIST", root, _CLOTHES)


def kmnist(root: Path) -> Raw:
    """Kuzushiji-MNIST (Clanuwat et al. 2018): cursive Japanese characters."""
    return _load("kmnist", "KMNIST", root, _KUZUSHIJI)


def _load(name: str, folder: str, root: Path, classes: Sequence[str]) -> Raw:
    train_x, train_y, test_x, test_y = (read_idx(Path(file)) for file in idx_files(name, folder, root).values())
    return Raw(train_x[:, None], train_y.long(), test_x[:, None], test_y.long(), tuple(classes))


def idx_files(name: str, folder: str, root: Path) -> Files:
    """The four files of a dataset, downloaded if they are not there.

    torchvision knows the sums of the archives that it downloads, not of the files that it unpacks from them.
    """
    files = relative_idx_files(folder)
    ensure(name, root, [*files.values()], partial(_fetch, folder))
    return {part: str(root / file) for part, file in files.items()}


def relative_idx_files(folder: str) -> Files:
    """The four files of a dataset, relative to the data folder, whether they are there or not."""
    return {part: f"{folder}/raw/{part}-ubyte" for part in _PARTS}


def _fetch(folder: str, staging: Path) -> None:
    import torchvision.datasets  # two seconds to import, and needed only here

    getattr(torchvision.datasets, folder)(str(staging), train=True, download=True)


def read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor of its own shape.

    Raises:
        BnbenchError: the file is not such a file, or not all of it.
    """
    file_status(path)
    content = np.fromfile(path, dtype=np.uint8)
    header = content[:4].tolist()
    if len(header) < 4 or header[:3] != [0, 0, 8]:
        raise BnbenchError(
            f"{printable(str(path))}: is not an IDX file of bytes. Delete it, and it is downloaded again"
        )
    begin = 4 + 4 * header[3]
    shape = content[4:begin].view(">u4").tolist() if len(content) >= begin else [-1]
    if len(content) - begin != np.prod(shape):
        raise _damaged(path, "is not complete")
    return torch.from_numpy(content[begin:]).view(shape)


def _damaged(path: Path, problem: str) -> BnbenchError:
    return BnbenchError(f"{printable(str(path))}: {problem}. Delete it, and it is downloaded again")
