"""Fingerprints of datasets: what their files hold, whatever the files are called and wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bnbench.data.archives import ARCHIVES
from bnbench.data.arrays import npz_files
from bnbench.data.covtype import covtype_files
from bnbench.data.files import MOST_IMAGE_BYTES, Files, content_hash
from bnbench.data.idx import idx_files, relative_idx_files
from bnbench.data.images import image_files
from bnbench.data.options import MOST_BYTES, MOST_DISK_BYTES
from bnbench.data.tables import csv_files
from bnbench.data.texts import digest_of_sums, text_files
from bnbench.spec import Choice

_IDX_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
_FILES: dict[str, Callable[..., Files]] = {
    **{name: partial(idx_files, name, folder) for name, folder in _IDX_FOLDERS.items()},
    "imagefolder": image_files,
    "npz": npz_files,
    "covtype": covtype_files,
    "csv": csv_files,
    "text": text_files,
}
"""The files of each dataset whose content has a fingerprint. The others are what their name and options say:
torchvision checks the sums of CIFAR and SVHN, ``digits``, ``wine`` and ``breast_cancer`` come with scikit-learn, and
``synthetic`` is made from its options."""
_MOST = {"imagefolder": MOST_IMAGE_BYTES, "npz": MOST_DISK_BYTES}
"""Bytes that a file of some datasets may have, in place of MOST_BYTES."""


def fingerprint(choice: Choice, root: Path) -> str | None:
    """A ``d`` and the first 11 digits of the hash of a dataset's files; None where there is no need of one.

    Without a file, ``text`` has that of what is made.

    A plugin's dataset has none: the plugin's source is part of the identity of its runs, the files that it reads are
    not.

    Args:
        choice: the dataset.
        root: the data folder.

    Raises:
        DataMissing: the files are not there and cannot be downloaded.
        BnbenchError: one of them cannot be read, or would never end.
    """
    if choice.name not in _FILES:
        return None
    if _is_made(choice):
        return f"d{digest_of_sums()[:11]}"
    files = _files(choice, root)
    return f"d{content_hash(files, _MOST.get(choice.name, MOST_BYTES))[:11]}"


def dataset_files(choice: Choice, root: Path) -> list[Path]:
    """The files that a dataset is read from; none of one that has no files, or is a plugin's. Raises as fingerprint.

    Args:
        choice: the dataset.
        root: the data folder.
    """
    if choice.name in _FILES and not _is_made(choice):
        return [Path(path) for path in _files(choice, root).values()]
    return [root.expanduser().absolute() / file for file in ARCHIVES.get(choice.name, ())]


def downloaded_files(name: str) -> list[str]:
    """The files of a dataset that is downloaded, relative to the data folder; none of another one."""
    folder = _IDX_FOLDERS.get(name)
    return [*ARCHIVES.get(name, ()), *(relative_idx_files(folder).values() if folder else ())]


def _is_made(choice: Choice) -> bool:
    return choice.name == "text" and not choice.options.get("path")


def _files(choice: Choice, root: Path) -> Files:
    place = {key: value for key, value in choice.items if key == "path"}
    return _FILES[choice.name](root=root.expanduser().absolute(), **place)
