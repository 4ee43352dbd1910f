"""A chosen dataset as tensors, in memory or on disk, divided and measured.

N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bnbench.data.datasets import DATASETS
from bnbench.data.domains import enter, require_pixels
from bnbench.data.examples import Data
from bnbench.data.fingerprint import fingerprint
from bnbench.data.loaded import LoadedDataset
from bnbench.data.measures import statistics
from bnbench.data.raw import as_raw
from bnbench.errors import BnbenchError, InvalidRequest, nearest
from bnbench.limits import whole_at_least
from bnbench.schema.augmentation import COMMON, Augmentation
from bnbench.spec import Choice, Domain, Split


def load(
    choice: Choice,
    split: Split,
    root: Path,
    datasets: Mapping[str, Callable[..., Any]] = DATASETS,
    domains: tuple[Domain, ...] = (),
    known: str | None = None,
) -> Data:
    """Load and divide a dataset; results are kept and share their images, so do not write to their tensors.

    Args:
        choice: name and options, the common ones included.
        split: how to divide; an official test set is used where there is one, and ``split.test`` is not.
        root: the data folder.
        datasets: loaders by name; a loader returns :class:`Raw` or a pair (x, y).
        domains: what becomes of the images; empty leaves them as they are.
        known: the fingerprint that the dataset must have; None takes any.

    Raises:
        InvalidRequest: unknown name or options, or examples that cannot be used or divided.
        DataMissing: the files are not there and cannot be downloaded.
        BnbenchError: the data have another fingerprint.
    """
    source = _source(choice, root, datasets, known)
    return _load_domains(split, domains, source) if domains else _dataset(source).divided(split)


def require_splits(
    choice: Choice,
    splits: Iterable[Split],
    root: Path,
    datasets: Mapping[str, Callable[..., Any]] = DATASETS,
    known: str | None = None,
) -> None:
    """Raise as :func:`load` does, for any of several splits; they are divided, and nothing else.

    Raises:
        InvalidRequest: with the problems of all splits.
    """
    dataset = _dataset(_source(choice, root, datasets, known))
    problems: dict[str, None] = {}
    for split in splits:
        try:
            dataset.divide(split)
        except InvalidRequest as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise InvalidRequest(problems)


class _Source(NamedTuple):
    """A dataset before it is loaded, by its choice, the data folder, its loader, and the fingerprint it must have."""

    choice: Choice
    root: Path
    loader: Callable[..., Any]
    known: str | None


def _source(choice: Choice, root: Path, datasets: Mapping[str, Callable[..., Any]], known: str | None) -> _Source:
    if choice.name not in datasets:
        raise InvalidRequest([f"dataset={choice.name}: unknown. {nearest(choice.name, sorted(datasets))}"])
    loader = datasets[choice.name]
    if problems := [*_option_problems(choice.options, loader)]:
        raise InvalidRequest(problems)
    return _Source(choice, root.expanduser().absolute(), loader, known)


def _option_problems(options: Mapping[str, Any], loader: Callable[..., Any]) -> Iterator[str]:
    _, *parameters = inspect.signature(loader).parameters
    allowed = [*parameters, *COMMON]
    for key in options:
        if key not in allowed:
            yield f"dataset.{key}: unknown option. {nearest(key, allowed)}"
    pad, flip = options.get("pad", 0), options.get("flip", False)
    yield from whole_at_least("dataset.pad", pad, 0)
    if not isinstance(flip, bool):
        yield f"dataset.flip={flip}: must be true or false"


@lru_cache(maxsize=4)
def _load_domains(split: Split, domains: tuple[Domain, ...], source: _Source) -> Data:
    data = _dataset(source).divided(split)
    if data.label_shape:
        raise InvalidRequest([f"domains: dataset={source.choice.name} has text, which has no domains; set domains=[]"])
    require_pixels(domains, *data.shape[1:])
    train, validation, test = (
        enter(part, data.std, domains, split.seed, name)
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    )
    mean, std = statistics(train.x)
    return replace(data, train=train, validation=validation, test=test, mean=mean, std=std)


@lru_cache(maxsize=4)
def _dataset(source: _Source) -> LoadedDataset:
    choice, root, loader, known = source
    loader_options = {key: value for key, value in choice.items if key not in COMMON}
    augmentation = Augmentation(**{key: value for key, value in choice.items if key in COMMON})  # type: ignore[arg-type]
    raw = as_raw(choice.name, loader(root, **loader_options))
    if known is not None and fingerprint(choice, root) != known:
        raise BnbenchError(
            f"dataset={choice.name}: its files have changed since this was begun; give the command again"
        )
    if augmentation.active and raw.sequences:
        raise InvalidRequest([f"dataset={choice.name}: text cannot be cropped or flipped; set pad=0 flip=false"])
    if augmentation.active and raw.train_x.shape[2:] == (1, 1):
        raise InvalidRequest([f"dataset={choice.name}: features have no pixels to crop or flip; set pad=0 flip=false"])
    if augmentation.pad >= min(raw.train_x.shape[2:]):
        height, width = raw.train_x.shape[2:]
        raise InvalidRequest([f"dataset.pad={augmentation.pad}: must be less than the images, {height}x{width} pixels"])
    return LoadedDataset(raw, augmentation)
