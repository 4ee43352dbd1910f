"""Folders of images, one folder per class."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from bnbench.data.cache import FOLDER, Source, cached
from bnbench.data.files import MOST_IMAGE_BYTES, Files
from bnbench.data.options import MOST_DISK_BYTES, fits, neighbours, printable
from bnbench.data.pixels import Bytes, shown
from bnbench.data.raw import Raw
from bnbench.data.room import room, stays_on_disk
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.limits import whole_at_least
from bnbench.text import plural

_TEST_NAMES = ("test", "val", "valid", "validation")
_LAYOUT = "class folders with images, or train/ and test/ (or val/) that hold class folders"
_SMALL_FILE = 8192  # bytes; below, handing over the interpreter lock costs more than a second thread brings
_GROUP = 64
_DARK = 16  # of 256
_DECODING = 2  # another number wherever the same files become other images, so that kept ones are not used
_SHOWN = 5


Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """The array that images are decoded to, and which of them lost what :class:`bnbench.data.pixels.Shown` says."""

    images_NCHW: Bytes
    deep_N: Flags
    outline_N: Flags


@dataclass(frozen=True, slots=True)
class _Part:
    """Class names, and per image its path relative to the dataset's folder and its label."""

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]


def imagefolder(root: Path, *, path: str = "images", size: int = 32) -> Raw:
    """Images of any format that PIL reads, as RGB, resized to ``size`` pixels (shorter side) and cropped in the center.

    An image of the right size is left as it is. All are turned as their EXIF orientation says. Of more bits than 8 the
    highest 8 are kept, of several frames the first; transparency is dropped. Where there is ``train/``, the official
    test set is ``test/``, or else ``val/``; other folders next to them are not read. Hidden files and files that are
    not images are skipped.

    Args:
        root: the data folder.
        path: the folder, relative to the data folder.
        size: H and W.

    Raises:
        DataMissing: there is no such folder, or no images in it.
        InvalidRequest: ``size`` is too small or too large, the test set has a class that the training set has not, or
            what images show is lost in 8 bits or without transparency.
        BnbenchError: an image cannot be decoded, or its black and white are not known, as those of floats.
    """
    if problems := whole_at_least("dataset.size", size, 1):
        raise InvalidRequest(problems)
    folder = root / path
    train, test = _find(folder)
    files = (*train.files, *(test.files if test else ()))
    if problems := [*fits(f"dataset.size={size}", count := 3 * size**2 * len(files), MOST_DISK_BYTES, "disk")]:
        raise InvalidRequest(problems)
    stays_on_disk("imagefolder", count, f"{root / FOLDER}")
    options = json.dumps([_DECODING, size, PIL.__version__, train.classes])
    source = Source("imagefolder", folder, files, options, MOST_IMAGE_BYTES)
    return cached(root, source, lambda: _decode(folder, train, test, size))


def image_files(root: Path, path: str) -> Files:
    """The files that :func:`imagefolder` reads, by their names inside the folder. Raises as it does."""
    folder = root / path
    return {file: f"{folder}/{file}" for part in _find(folder) if part for file in part.files}


def _find(folder: Path) -> tuple[_Part, _Part | None]:
    try:
        if not folder.is_dir():
            raise _missing(f"expected {folder} with {_LAYOUT}. {neighbours(folder)}")
        return _parts(folder)
    except OSError as error:
        raise _missing(f"cannot read {error.filename}: {error.strerror}") from error


def _parts(folder: Path) -> tuple[_Part, _Part | None]:
    if not _class_folders(folder / "train"):
        return _part(folder, "", None), None
    train = _part(folder, "train/", None)
    name = next((name for name in _TEST_NAMES if _class_folders(folder / name)), None)
    return train, _part(folder, f"{name}/", train.classes) if name else None


def _missing(problem: str) -> DataMissing:
    return DataMissing(printable(f"dataset=imagefolder: {problem}"))


def _class_folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))


def _part(folder: Path, prefix: str, train_classes: tuple[str, ...] | None) -> _Part:
    """List the images below ``folder/prefix``; labels follow ``train_classes`` if there are any."""
    names = _class_folders(folder / prefix)
    classes = train_classes or names
    if unknown := sorted(set(names) - set(classes)):
        where = printable(f"{folder / prefix} has the class '{unknown[0]}', which {folder / 'train'} has not")
        raise InvalidRequest([f"dataset.path: {where}"])
    suffixes = _suffixes()
    files, labels = [], []
    for name in names:
        images = sorted(_images(folder, f"{prefix}{name}", suffixes))
        if not images:
            raise _missing(f"expected images in {folder / prefix / name}, found none")
        files += images
        labels += [classes.index(name)] * len(images)
    if not files:
        raise _missing(f"expected {_LAYOUT} in {folder / prefix}, found no class folder")
    return _Part(classes, tuple(files), tuple(labels))


def _suffixes() -> tuple[str, ...]:
    formats = Image.registered_extensions().items()
    return tuple(suffix for suffix, kind in formats if kind in Image.OPEN)


def _images(folder: Path, inside: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    with os.scandir(f"{folder}/{inside}") as entries:
        for entry in entries:
            relative = f"{inside}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink() and Path(entry).resolve() in (
                    here := Path(folder, inside).resolve(),
                    *here.parents,
                ):
                    where = printable(entry.path)
                    raise InvalidRequest([f"dataset.path: {where} is a link to a folder that it is in; remove it"])
                yield from _images(folder, relative, suffixes)
            elif entry.name.lower().endswith(suffixes):
                yield relative


def _decode(folder: Path, train: _Part, test: _Part | None, size: int) -> Raw:
    classes = tuple(map(printable, train.classes))
    train_x = _tensors(folder, train.files, size)
    if test is None:
        return Raw(train_x, torch.tensor(train.labels), classes=classes)
    test_x = _tensors(folder, test.files, size)
    return Raw(train_x, torch.tensor(train.labels), test_x, torch.tensor(test.labels), classes)


def _tensors(folder: Path, files: Sequence[str], size: int) -> Tensor:
    """[N, 3, size, size] uint8."""
    batch = _Batch(room((len(files), 3, size, size), np.uint8), *np.zeros((2, len(files)), bool))
    average = sum((folder / file).stat().st_size for file in files[:_GROUP]) / min(len(files), _GROUP)
    workers = 1 if average < _SMALL_FILE else min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        groups = pool.map(partial(_fill, folder, files, batch), range(0, len(files), _GROUP))
        failures = [failure for group in groups for failure in group]
    if failures:
        listing = "\n".join(failures[:_SHOWN])
        raise BnbenchError(
            f"dataset=imagefolder: {len(failures)} of {plural(len(files), 'image')} cannot be used. "
            f"Repair, convert or remove them:\n{listing}"
        )
    if problems := [*_losses(files, batch)]:
        raise InvalidRequest(problems)
    return torch.from_numpy(batch.images_NCHW)


def _losses(files: Sequence[str], batch: _Batch) -> Iterator[str]:
    """Sentences about images of which too little is left as 8-bit RGB."""
    brightest = max((int(batch.images_NCHW[row].max()) for row in batch.deep_N.nonzero()[0]), default=_DARK)
    if brightest < _DARK:
        yield (
            f"dataset.path: {_some(files, batch.deep_N)} have more than 8 bits and are black or nearly so: no value is "
            f"above {(brightest + 1) / 256:.1%} of what their depth can hold. "
            "Scale them to their whole depth, or write them with 8 bits"
        )
    if 2 * batch.outline_N.sum() > len(files):
        yield (
            f"dataset.path: {_some(files, batch.outline_N)} have one color, and what they show is in their "
            "transparency only, which is not used. Put them on a background of another color"
        )


def _some(files: Sequence[str], chosen_N: Flags) -> str:
    return f"{chosen_N.sum()} of {plural(len(files), 'image')} ({printable(files[int(chosen_N.argmax())])}, ...)"


def _fill(folder: Path, files: Sequence[str], batch: _Batch, at: int) -> list[str]:
    """Decode one group of images into place; a sentence for each that cannot be."""
    size, failures = batch.images_NCHW.shape[2], []
    for row, file in enumerate(files[at : at + _GROUP], at):
        try:
            with Image.open(f"{folder}/{file}") as opened:
                image, batch.deep_N[row], batch.outline_N[row] = shown(opened)
                batch.images_NCHW[row] = _squared(image, size).transpose(2, 0, 1)
        except Exception as error:  # decoders of damaged files raise many kinds
            failures.append(printable(f"{folder}/{file}: {error}"))
    return failures


def decode(path: str, size: int) -> Bytes:
    """One image as RGB [size, size, 3] uint8: shorter side resized (bilinear, antialiased), cropped in the center."""
    with Image.open(path) as file:
        return _squared(shown(file).image, size)


def _squared(image: Image.Image, size: int) -> Bytes:
    width, height = image.size
    if (width, height) != (size, size):
        short = min(width, height)
        width, height = size * width // short, size * height // short
        left, top = round((width - size) / 2), round((height - size) / 2)
        resized = image.resize((width, height), Image.Resampling.BILINEAR) if short != size else image
        image = resized.crop((left, top, left + size, top + size))
    return np.asarray(image)
