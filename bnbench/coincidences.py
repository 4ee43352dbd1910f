"""Settings with which a norm is another one, or stays one in part, as a run's columns have them; never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Columns = Mapping[str, Any]
"""A run's spec as ``flatten`` makes it, or as a row of runs.csv, and ``total_steps`` where that is known."""


@dataclass(frozen=True, slots=True)
class Coincidence:
    """One norm is another one.

    Attributes:
        norm: settings of the one.
        other: settings of the other.
        why: the reason.
        where: under which condition, with a place for ``value``, or empty.
        value: of a factor that may have several such values.
    """

    norm: str
    other: str
    why: str
    where: str = ""
    value: int = 0


def sentences(runs: Iterable[Columns]) -> list[str]:
    """The coincidences of some runs, a sentence for each pair of norms and reason."""
    values_by_case: dict[tuple[str, str, str, str], dict[int, None]] = {}
    for columns in runs:
        for case in coincidences(columns):
            values_by_case.setdefault((case.norm, case.other, case.why, case.where), {})[case.value] = None
    return [
        f"{norm} is {other}{where.format(', '.join(map(str, sorted(values))))}: {why}"
        for (norm, other, why, where), values in values_by_case.items()
    ]


def coincidences(columns: Columns) -> Iterator[Coincidence]:
    """The norms that a run's norm is, beside itself."""
    find = CASES.get(str(columns.get("norm")))
    try:
        yield from () if find is None else find(columns)
    except KeyError:  # a table of another origin, which does not tell
        return


def _part(columns: Columns) -> int:
    """The examples of a batch on each device."""
    return int(columns["batch_size"]) // _devices(columns)


def _devices(columns: Columns) -> int:
    """The devices of a run; that of earlier versions had one."""
    return int(columns.get("devices") or 1)


def _at_batch_size(columns: Columns) -> str:
    """Where the examples of a device are few: ``at batch_size={}`` with a place for the value."""
    devices = _devices(columns)
    return " at batch_size={}" + (f" devices={devices}" if devices > 1 else "")


def _batch(columns: Columns) -> Iterator[Coincidence]:
    if _part(columns) == 1:
        yield _instance(columns, f"norm={columns['norm']}", f"{_batch_in_words(columns)} is one image")
    if columns["norm.track"] is False and columns["evaluate.statistics"] == "batch":
        yield Coincidence(
            "norm=batch norm.track=false",
            "norm=batch norm.track=true",
            "evaluate.statistics=batch takes no running statistics",
        )


def _batch_in_words(columns: Columns) -> str:
    """The name of the examples whose statistics batch normalization takes."""
    return "the batch" if _devices(columns) == 1 else "the batch of a device"


def _instance(columns: Columns, norm: str, why: str) -> Coincidence:
    """Statistics of one image."""
    return Coincidence(norm, "norm=instance in training", why, _at_batch_size(columns), int(columns["batch_size"]))


def _sync(columns: Columns) -> Iterator[Coincidence]:
    if _devices(columns) == 1:
        yield Coincidence("norm=sync", "norm=batch", "a run on one device is one process")


def _ghost(columns: Columns) -> Iterator[Coincidence]:
    chunk, part = int(columns["norm.chunk"]), _part(columns)
    norm = f"norm=ghost norm.chunk={chunk}"
    if part <= chunk:
        why = f"{_batch_in_words(columns)} is one chunk"
        yield Coincidence(norm, "norm=batch", why, _at_batch_size(columns), int(columns["batch_size"]))
    if min(chunk, part) == 1:
        yield _instance(columns, norm, "a chunk is one image")


def _renorm(columns: Columns) -> Iterator[Coincidence]:
    warmup, steps = int(columns["norm.warmup_steps"]), columns.get("total_steps")
    if columns["norm.r_max"] == 1 and columns["norm.d_max"] == 0:
        yield Coincidence("norm=renorm norm.r_max=1 norm.d_max=0", "norm=batch", "nothing is corrected")
    elif steps is not None and steps <= warmup:
        norm = f"norm=renorm norm.warmup_steps={warmup}"
        yield Coincidence(norm, "norm=batch", "all steps are within the warm-up", " in runs of {} steps", int(steps))


def _prepbn(columns: Columns) -> Iterator[Coincidence]:
    decay, steps = int(columns["norm.decay_steps"]), columns.get("total_steps")
    frozen = columns.get("freeze_statistics") is not None  # from where on there is no layer normalization
    if steps is not None and steps <= decay and not frozen:
        norm = f"norm=prepbn norm.decay_steps={decay}"
        why = "the share of layer normalization is not 0 in any step"
        yield Coincidence(norm, "norm=layer in part to the end", why, " of runs of {} steps", int(steps))


def _precise(columns: Columns) -> Iterator[Coincidence]:
    statistics = columns["evaluate.statistics"]
    if statistics != "running":
        why = f"evaluate.statistics={statistics} is for all norms"
        yield Coincidence("norm=precise", "norm=batch", why)
    if _part(columns) == 1:
        yield _instance(columns, "norm=precise", f"{_batch_in_words(columns)} is one image")


def _noisy_batch(columns: Columns) -> Iterator[Coincidence]:
    quiet = {"shift": 0, "scale": 1, "shift_spread": 0, "scale_spread": 0}
    if all(columns[f"norm.{name}"] == value for name, value in quiet.items()):
        yield Coincidence("norm=noisy_batch", "norm=batch", "its noise is off")


def _group(columns: Columns) -> Iterator[Coincidence]:
    groups = int(columns["norm.groups"])
    norm = f"norm=group norm.groups={groups}"
    if groups == 1:
        yield Coincidence(norm, "norm=layer", "the group is all channels")
    elif groups in _widths(columns):
        yield Coincidence(norm, "norm=instance", "a group is one channel", " in layers of {} channels", groups)


def _over(columns: Columns) -> Iterator[Coincidence]:
    model = columns["model"]
    if columns["norm.over"] == "channels" and model in ("mlp", "vit", "gpt"):
        norm = f"norm={columns['norm']}"
        why = f"in model={model} {'a channel has one value' if model == 'mlp' else 'a token is normalized by itself'}"
        yield Coincidence(f"{norm} norm.over=channels", f"{norm} norm.over=all", why)


def _widths(columns: Columns) -> tuple[int, ...]:
    """The channels of the layers of built-in models of images."""
    width = columns.get("model.width")
    known = columns["model"] == "cnn" or str(columns["model"]).startswith("resnet")
    return tuple(int(width) * factor for factor in (1, 2, 4)) if known and width is not None else ()


CASES: dict[str, Callable[[Columns], Iterator[Coincidence]]] = {
    "batch": _batch,
    "sync": _sync,
    "ghost": _ghost,
    "renorm": _renorm,
    "prepbn": _prepbn,
    "precise": _precise,
    "noisy_batch": _noisy_batch,
    "group": _group,
    "layer": _over,
    "rms": _over,
}
"""By name of a norm, what finds the others that it is."""
