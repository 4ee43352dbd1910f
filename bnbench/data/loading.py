"""A chosen dataset as device-resident tensors, divided and measured. N examples, C channels, H rows, W columns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from bnbench.data.datasets import DATASETS
from bnbench.data.domains import enter, require_pixels
from bnbench.data.examples import Data, Examples
from bnbench.data.fingerprint import fingerprint
from bnbench.data.measures import in_float32, statistics
from bnbench.data.raw import Raw, as_raw
from bnbench.data.split import divide
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
    """Load and divide a dataset; the last few results are kept, so do not write to their tensors.

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
    if choice.name not in datasets:
        raise InvalidRequest([f"dataset={choice.name}: unknown. {nearest(choice.name, sorted(datasets))}"])
    loader = datasets[choice.name]
    if problems := [*_option_problems(choice.options, loader)]:
        raise InvalidRequest(problems)
    root = root.expanduser().absolute()
    if domains:
        return _load_domains(choice, split, root, loader, domains, known)
    return _load(choice, split, root, loader, known)


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
def _load_domains(
    choice: Choice,
    split: Split,
    root: Path,
    loader: Callable[..., Any],
    domains: tuple[Domain, ...],
    known: str | None,
) -> Data:
    data = _load(choice, split, root, loader, known)
    require_pixels(domains, *data.shape[1:])
    train, validation, test = (
        enter(part, data.std, domains, split.seed, name)
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    )
    mean, std = statistics(train.x)
    return replace(data, train=train, validation=validation, test=test, mean=mean, std=std)


@lru_cache(maxsize=4)
def _load(choice: Choice, split: Split, root: Path, loader: Callable[..., Any], known: str | None) -> Data:
    loader_options = {key: value for key, value in choice.items if key not in COMMON}
    augmentation = Augmentation(**{key: value for key, value in choice.items if key in COMMON})  # type: ignore[arg-type]
    raw = as_raw(choice.name, loader(root, **loader_options))
    if known is not None and fingerprint(choice, root) != known:
        raise BnbenchError(
            f"dataset={choice.name}: its files have changed since this was begun; give the command again"
        )
    if augmentation.active and raw.train_x.shape[2:] == (1, 1):
        raise InvalidRequest([f"dataset={choice.name}: features have no pixels to crop or flip; set pad=0 flip=false"])
    if augmentation.pad >= min(raw.train_x.shape[2:]):
        height, width = raw.train_x.shape[2:]
        raise InvalidRequest([f"dataset.pad={augmentation.pad}: must be less than the images, {height}x{width} pixels"])
    return _divided(raw, split, augmentation)


def _divided(raw: Raw, split: Split, augmentation: Augmentation) -> Data:
    parts = divide(raw.train_y, split, raw.classes, raw.test_x is not None)
    raw = in_float32(raw, parts.train)
    train, validation = _pick(raw, parts.train), _pick(raw, parts.validation)
    if parts.test is not None:
        test = _pick(raw, parts.test)
    else:
        test = Examples(cast(Tensor, raw.test_x), cast(Tensor, raw.test_y))
    mean, std = statistics(train.x)
    return Data(train, validation, test, len(raw.classes), mean, std, augmentation, _untested(raw, test))


def _untested(raw: Raw, test: Examples) -> tuple[str, ...]:
    """A note on classes without test examples; only an official test set can lack one."""
    present = set(test.y.tolist())
    absent = [name for label, name in enumerate(raw.classes) if label not in present]
    listing = ", ".join([*map(repr, absent[:5]), *(["..."] if len(absent) > 5 else [])])
    return (f"the test set has no example of {len(absent)} of {len(raw.classes)} classes: {listing}",) if absent else ()


def _pick(raw: Raw, positions: Tensor) -> Examples:
    return Examples(raw.train_x[positions].contiguous(), raw.train_y[positions])
