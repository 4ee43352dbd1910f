"""Datasets that need no files of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from bnbench.data.options import fits
from bnbench.data.raw import Raw
from bnbench.errors import InvalidRequest
from bnbench.limits import whole_at_least
from bnbench.spec import stream

Table = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
CHUNK = 1024
"""Examples that are drawn at a time."""


def digits(root: Path) -> Raw:
    """The 1797 handwritten 8x8 digits (Alpaydin & Kaynak 1998) that come with scikit-learn; 0..16 becomes 0..255."""
    table = _table("digits", "digits.csv.gz")
    values_NF, labels = table[:, :64], table[:, 64]
    images = np.round(values_NF * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return Raw(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)), classes=tuple("0123456789"))


def wine(root: Path) -> Raw:
    """178 wines of three growers by 13 chemical measures (Aeberhard & Forina 1992), which come with scikit-learn."""
    return _features(_table("wine", "wine_data.csv", header=1), ("class_0", "class_1", "class_2"))


def breast_cancer(root: Path) -> Raw:
    """569 tumors by 30 measures of their cell nuclei (Wolberg et al. 1995, Wisconsin), from scikit-learn."""
    return _features(_table("breast_cancer", "breast_cancer.csv", header=1), ("malignant", "benign"))


def _features(table: Table, classes: tuple[str, ...]) -> Raw:
    """Examples [N, F, 1, 1] float64 from [N, F + 1] features and label."""
    features = torch.from_numpy(np.ascontiguousarray(table[:, :-1]))
    return Raw(features[:, :, None, None], torch.from_numpy(table[:, -1].astype(np.int64)), classes=classes)


def _table(name: str, file: str, header: int = 0) -> Table:
    """[N, F + 1] features and label, from scikit-learn's own file: importing scikit-learn takes two seconds.

    Args:
        name: of the function ``load_<name>`` of scikit-learn.
        file: in the package.
        header: lines of the file above the numbers.
    """
    package = importlib.util.find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder, "datasets", "data", file)
        if path.is_file():
            return np.loadtxt(path, delimiter=",", skiprows=header)
    from sklearn import datasets

    values, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.column_stack([values, labels])


def synthetic(root: Path, *, examples: int = 2048, channels: int = 3, size: int = 32, classes: int = 10) -> Raw:
    """Smooth Gaussian prototypes, one per class, plus Gaussian noise of the same size per pixel; the same every time.

    Args:
        root: not used.
        examples: in all, the classes in turn.
        channels: C.
        size: H and W.
        classes: number of prototypes.

    Raises:
        InvalidRequest: an option is too small, or all together take too much memory.
    """
    options = [("examples", examples, classes), ("channels", channels, 1), ("size", size, 1), ("classes", classes, 2)]
    problems = [
        problem for name, value, bound in options for problem in whole_at_least(f"dataset.{name}", value, bound)
    ]
    settings = " ".join(f"dataset.{name}={value}" for name, value, _ in options)
    bytes_per_pixel = examples + 4 * classes + 8 * min(examples, CHUNK)  # images, prototypes, noise for a chunk
    if problems := problems or [*fits(settings, channels * size**2 * bytes_per_pixel + 8 * examples)]:
        raise InvalidRequest(problems)
    generator = torch.Generator().manual_seed(stream(0, "synthetic"))
    grid = torch.randn(classes, channels, min(size, 4), min(size, 4), generator=generator)
    prototypes = interpolate(grid, (size, size), mode="bilinear", align_corners=False)
    labels = torch.arange(examples) % classes
    images = torch.empty(examples, channels, size, size, dtype=torch.uint8)
    for at in range(0, examples, CHUNK):
        clean = prototypes[labels[at : at + CHUNK]]
        noisy = clean + torch.randn(clean.shape, generator=generator)
        images[at : at + CHUNK] = (128 + 32 * noisy).round_().clamp_(0, 255)
    return Raw(images, labels, classes=tuple(str(label) for label in range(classes)))
