"""The runs that a study consists of, and the purpose of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bnbench.config import Request, compose_request, joined
from bnbench.errors import InvalidRequest
from bnbench.schema import Parts
from bnbench.spec import run_id
from bnbench.study.definition import Scale, Study

TUNING = 1000
"""The first tuning seed; reporting seeds start at zero."""
APART = 10_000
"""The distance between the seeds of two arms that do not share theirs."""

RIVALS = {"steps": "epochs", "epochs": "steps"}
"""Keys of which a run has one."""

Group = tuple[str, str]
"""An arm and a cell."""
Rates = Mapping[Group, Sequence[float]]
"""The learning rates that are trained in each group."""


@dataclass(frozen=True)
class Trials:
    """Runs to be trained.

    Attributes:
        request: all of them, each once.
        table: a line per use of a run: ``arm``, ``cell``, ``pair``, ``lr``, ``run_id``. Equal runs of two groups are
            trained once.
    """

    request: Request
    table: pd.DataFrame


def groups(study: Study, every_lr: bool) -> list[Group]:
    """The pairs of an arm and a cell that claims compare at every learning rate, or at the chosen one."""
    used = {group for claim in study.claims if claim.measure.every_lr == every_lr for group in claim.groups}
    return [(arm, cell) for cell, arm in itertools.product(study.cells, study.arms) if (arm, cell) in used]


def tuning_trials(study: Study, scale: Scale, rates: Rates, parts: Parts) -> Trials:
    """The runs that the learning rates are chosen by."""
    return _trials(study, scale, rates, parts, TUNING, scale.tuning_seeds, ())


def reporting_trials(study: Study, scale: Scale, rates: Rates, parts: Parts) -> Trials:
    """The runs that the verdicts rest on."""
    probes = sorted({probe for claim in study.claims for probe in claim.measure.probes})
    return _trials(study, scale, rates, parts, 0, scale.seeds, [f"probes=[{','.join(probes)}]"])


def counterparts(table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The run_ids that are compared with each other, each in one group: all arms of a cell with one seed.

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


def _trials(
    study: Study, scale: Scale, rates: Rates, parts: Parts, first: int, seeds: int, probes: Iterable[str]
) -> Trials:
    requests, lines = [], []
    for (arm, cell), grid in rates.items():
        start = first + (0 if study.paired else APART * list(study.arms).index(arm))
        axes = [f"lr={','.join(map(repr, grid))}", f"seed={','.join(map(str, range(start, start + seeds)))}", *probes]
        settings = merged(study.fixed, scale.overrides, study.cells[cell], study.arms[arm], axes)
        requests.append(compose_request(settings, parts))
        lines += [(arm, cell, spec.seed - start, spec.lr, run_id(spec)) for spec in requests[-1].specs]
    problems = [f"study {study.name}: {problem}" for request in requests for problem in request.problems]
    if problems:
        raise InvalidRequest(problems)
    return Trials(joined(requests), pd.DataFrame(lines, columns=["arm", "cell", "pair", "lr", "run_id"]))
