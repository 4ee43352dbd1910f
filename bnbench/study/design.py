"""The runs that a study consists of, and the purpose of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bnbench.config import Request, compose_request, joined
from bnbench.errors import InvalidRequest
from bnbench.schema import Parts
from bnbench.spec import RunSpec, run_id
from bnbench.study.definition import Scale, Study

MOST_REPLICATES = 1000
"""Replicates of a study: their reporting seeds are 0 to 999, their first tuning seeds 1000 to 1999, and so on."""
MOST_TUNING_SEEDS = 90
APART = 100_000
"""The distance between the seeds of two arms that do not share theirs."""

RIVALS = {"steps": "epochs", "epochs": "steps"}
"""Keys of which a run has one."""

Group = tuple[str, str]
"""An arm and a cell."""
Rates = Mapping[Group, Sequence[Sequence[float]]]
"""The learning rates that are trained in each group, by replicate."""


@dataclass(frozen=True)
class Trials:
    """Runs to be trained.

    Attributes:
        request: all of them, each once.
        table: a line per use of a run: ``arm``, ``cell``, ``pair`` (the replicate), ``lr``, ``run_id``. Equal runs of
            two groups are trained once.
    """

    request: Request
    table: pd.DataFrame


def groups(study: Study, every_lr: bool) -> list[Group]:
    """The pairs of an arm and a cell that claims compare at every learning rate, or at the chosen one."""
    used = {group for claim in study.claims if claim.measure.every_lr == every_lr for group in claim.groups}
    return [(arm, cell) for cell, arm in itertools.product(study.cells, study.arms) if (arm, cell) in used]


def in_all(rates: Mapping[Group, Sequence[float]], replicates: int) -> Rates:
    """Learning rates that every replicate is trained at."""
    return {group: [tuple(grid)] * replicates for group, grid in rates.items()}


def tuning_seeds(replicate: int, amount: int) -> list[int]:
    """The seeds that a replicate chooses its learning rate by; those of fewer tuning seeds are among them."""
    return [MOST_REPLICATES * (1 + turn) + replicate for turn in range(amount)]


def tuning_trials(study: Study, scale: Scale, rates: Rates, parts: Parts) -> Trials:
    """The runs that the learning rates are chosen by."""
    return _trials(study, scale, rates, parts, lambda replicate: tuning_seeds(replicate, scale.tuning_seeds))


def reporting_trials(study: Study, scale: Scale, rates: Rates, parts: Parts) -> Trials:
    """The runs that the verdicts rest on."""
    probes = sorted({probe for claim in study.claims for probe in claim.measure.probes})
    probed = replace(scale, overrides=(*scale.overrides, f"probes=[{','.join(probes)}]"))
    return _trials(study, probed, rates, parts, lambda replicate: [replicate])


def counterparts(table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The run_ids that are compared with each other, each in one group: all arms of a cell in one replicate.

    Args:
        table: of trials; where arms have several learning rates, their first ones are one group, and so on.
    """
    rank = table.groupby(["arm", "cell", "pair"], sort=False).cumcount()
    grouped: set[str] = set()
    groups = []
    for _, group in table.groupby(["pair", "cell", rank], sort=False)["run_id"]:
        groups.append(tuple(name for name in dict.fromkeys(group) if name not in grouped))
        grouped.update(group)
    return tuple(group for group in groups if group)


def merged(*layers: Sequence[str]) -> list[str]:
    """Settings of several layers, of which a later one takes the place of an earlier one.

    A choice that is made anew (``model=cnn``) drops the options that earlier layers gave the old one, and ``steps`` and
    ``epochs`` drop each other.
    """
    settings: dict[str, str] = {}
    for layer in layers:
        keys = {setting.partition("=")[0] for setting in layer}
        keys |= {RIVALS[key] for key in keys if key in RIVALS}
        settings = {key: text for key, text in settings.items() if key.partition(".")[0] not in keys}
        settings |= {setting.partition("=")[0]: setting for setting in layer}
    return list(settings.values())


def _trials(study: Study, scale: Scale, rates: Rates, parts: Parts, seeds: Callable[[int], list[int]]) -> Trials:
    """The runs of all groups, of which each replicate has its own split, seeds and learning rates."""
    requests, lines = [], []
    for (arm, cell), by_replicate in rates.items():
        tried = sorted({lr for grid in by_replicate for lr in grid})
        if not tried:
            continue
        grid = [f"lr={','.join(map(repr, tried))}"]
        settings = merged(study.fixed, scale.overrides, study.cells[cell], study.arms[arm], grid)
        request = compose_request(settings, parts)
        apart = 0 if study.paired else APART * list(study.arms).index(arm)
        uses = [*_uses(request.specs, by_replicate, seeds, apart)]
        requests.append(replace(request, specs=tuple(spec for _, spec in uses)))
        lines += [(arm, cell, replicate, spec.lr, run_id(spec)) for replicate, spec in uses]
    problems = [f"study {study.name}: {problem}" for request in requests for problem in request.problems]
    if problems:
        raise InvalidRequest(problems)
    return Trials(joined(requests), pd.DataFrame(lines, columns=["arm", "cell", "pair", "lr", "run_id"]))


def _uses(
    composed: Sequence[RunSpec], rates: Sequence[Sequence[float]], seeds: Callable[[int], list[int]], apart: int
) -> Iterator[tuple[int, RunSpec]]:
    """Each replicate with its runs: the composed ones of its learning rates, on its split, with its seeds."""
    by_lr = {spec.lr: spec for spec in composed}
    for replicate, grid in enumerate(rates):
        for spec in (by_lr[lr] for lr in grid if lr in by_lr):
            split = replace(spec.split, seed=spec.split.seed + replicate)
            yield from ((replicate, replace(spec, seed=apart + seed, split=split)) for seed in seeds(replicate))
