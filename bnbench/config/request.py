"""From overrides to run specs: composes, converts and checks every cell, and reports all problems at once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnbench.config import grid
from bnbench.config.build import Builder
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.exclude import apply_exclusions, exclusions
from bnbench.config.grammar import Setting, parse, split
from bnbench.config.keys import Arms
from bnbench.schema import Parts
from bnbench.schema.convert import shown
from bnbench.spec import RunSpec, check

DEVICES = "auto, cpu, cuda, or cuda:0, cuda:1, ..."

HINDRANCES = ("batch_size=", "split.", "batches=", "domains:")
"""Beginnings of problems with which a spec cannot even be tried on a network."""

EMPTY = "the sweep is empty: every run is excluded; take away an --exclude"
"""The problem of a request of which nothing is left."""

NAMED = "model.name="
"""The beginning of a problem whose spec is built all the same: torchvision itself would refuse the name."""


@dataclass(frozen=True)
class Request:
    """The runs that a user asks for.

    Attributes:
        specs: the distinct runs, in the order of the grid.
        factors: the swept keys and their values as typed.
        device: where to train; no part of a run's identity.
        typed: the texts as typed: overrides, zips, excludes.
        excluded: how many runs the exclusions removed.
        notes: what the user should know although nothing is wrong.
        idle: the exclusions that leave nothing out.
        problems: what is wrong with the request, one sentence each; such a request must not be carried out. The specs
            are those that have a batch and data nevertheless, so that more problems can be found in the same pass; none
            if it is not known which cells are meant.
        may_be_empty: nothing is wrong with it if none of its runs can be trained.
        is_unclear: whether a key, a name or the type of a value is among the problems: no network need be tried then,
            as it may not be the one that is meant.
    """

    specs: tuple[RunSpec, ...]
    factors: Mapping[str, tuple[Any, ...]]
    device: str
    typed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: int = 0
    notes: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    may_be_empty: bool = False
    is_unclear: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        """The notes, those on idle exclusions among them."""
        return *self.notes, *(f"--exclude {shown(text)} matches no run" for text in self.idle)


def compose_request(
    overrides: Sequence[str], parts: Parts, zips: Sequence[str] = (), excludes: Sequence[str] = ()
) -> Request:
    """Turn overrides in Hydra's grammar into specs; equal specs are one run.

    An option that only some of the swept choices have applies to those; the others are planned once.

    Args:
        overrides: ``key=value`` texts; ``key=a,b``, ranges and globs make a factor.
        parts: what a plugin adds to the built-in components.
        zips: texts of several settings that advance together.
        excludes: texts of conditions; a run that meets all conditions of one text is left out.

    Raises:
        PluginError: a component of the plugin cannot be used.
    """
    problems: list[str] = []
    composer = Composer(parts)
    parsed = _parsed(overrides, zips, composer, problems)
    arms = Arms(parsed.every, composer)
    problems.extend(arms.problems(parsed.every))
    excluded = exclusions(excludes, arms, composer, problems)
    distinct = _distinct_specs(parsed, arms, composer, problems)
    is_unclear = not all(problem.startswith(NAMED) for problem in problems)
    tryable = [spec for spec in _tryable(distinct, problems) if not parsed.is_uneven]
    specs, idle = apply_exclusions(tryable, excluded)
    if not specs and not problems:
        problems.append(EMPTY)
    return Request(
        specs=tuple(specs),
        factors={setting.key: _distinct(setting.values) for setting in parsed.every if setting.swept},
        device=parsed.device,
        typed={"overrides": tuple(overrides), "zip": tuple(zips), "exclude": tuple(excludes)},
        excluded=len(tryable) - len(specs),
        notes=tuple(grid.repetitions(parsed.settings, parsed.zipped)),
        idle=tuple(idle),
        problems=tuple(dict.fromkeys(problems)),
        is_unclear=is_unclear,
    )


@dataclass(frozen=True)
class _Parsed:
    """The overrides and zips of a request as settings.

    Attributes:
        settings: those that vary by themselves.
        zipped: groups of settings that advance together.
        device: where to train.
    """

    settings: Sequence[Setting]
    zipped: Sequence[Sequence[Setting]]
    device: str

    @property
    def every(self) -> list[Setting]:
        """All settings."""
        return [*self.settings, *itertools.chain.from_iterable(self.zipped)]

    @property
    def is_uneven(self) -> bool:
        """True if settings that advance together have different numbers of values, so that no cells are meant."""
        return any(len({len(setting.values) for setting in group}) > 1 for group in self.zipped)


def _parsed(overrides: Sequence[str], zips: Sequence[str], composer: Composer, problems: list[str]) -> _Parsed:
    settings = parse(overrides, composer.names, problems)
    device = _take_device(settings, composer, problems)
    return _Parsed(settings, [_zipped(text, composer, problems, settings) for text in zips], device)


def _distinct_specs(parsed: _Parsed, arms: Arms, composer: Composer, problems: list[str]) -> list[RunSpec]:
    """The specs of all cells whose values have the right types, each once."""
    product = [
        [point for point in points if all(arms.offers(key, point[key]) for key in point if key in GROUPS)]
        or [{key: value for key, value in point.items() if key not in GROUPS} for point in points[:1]]
        for points in grid.factors(parsed.settings, parsed.zipped, problems)
    ]
    builder = Builder(composer, parsed.every, problems)
    return list(dict.fromkeys(spec for cell in grid.cells(product) if (spec := builder.build(cell)) is not None))


def _tryable(specs: Sequence[RunSpec], problems: list[str]) -> list[RunSpec]:
    """The specs that can be tried on a network; the problems of all of them are added to ``problems``."""
    faults = [check(spec) for spec in specs]
    problems.extend(itertools.chain.from_iterable(faults))
    return [spec for spec, faulty in zip(specs, faults, strict=True) if not any(map(_hinders, faulty))]


def _hinders(problem: str) -> bool:
    return problem.startswith(HINDRANCES)


def joined(requests: Sequence[Request]) -> Request:
    """Several requests without problems, at least one, as one sweep; equal specs are one run."""
    return Request(
        specs=tuple(dict.fromkeys(spec for request in requests for spec in request.specs)),
        factors={},
        device=requests[0].device,
        typed={
            "overrides": tuple(" ".join(request.typed["overrides"]) for request in requests),
            "zip": tuple(text for request in requests for text in request.typed["zip"]),
            "exclude": tuple(text for request in requests for text in request.typed["exclude"]),
        },
        excluded=sum(request.excluded for request in requests),
        notes=tuple(dict.fromkeys(note for request in requests for note in request.notes)),
        idle=tuple(dict.fromkeys(text for request in requests for text in request.idle if _is_idle(text, requests))),
    )


def _is_idle(exclusion: str, requests: Sequence[Request]) -> bool:
    """True for an exclusion that leaves nothing out of any of the requests that have it."""
    return all(exclusion in request.idle for request in requests if exclusion in request.typed["exclude"])


def _zipped(text: str, composer: Composer, problems: list[str], beside: Sequence[Setting]) -> list[Setting]:
    wrong: list[str] = []
    settings = parse(split(text), composer.names, wrong)
    if not settings and not wrong:
        wrong.append("no settings given; write for example 'batch_size=8,32 lr=0.1,0.4'")
    if any(setting.key == "device" for setting in settings):
        wrong.append("device: is not swept; give it as a setting of its own, once")
    if len(settings) == 1 and not wrong and (others := [setting for setting in beside if setting.swept]):
        even = [setting for setting in others if len(setting.values) == len(settings[0].values)] or others
        whole = " ".join([text, *(f"{setting.key}={','.join(map(shown, setting.values))}" for setting in even)])
        wrong.append(f"{shown(text)}: advances with nothing; quote what advances together: --zip {shown(repr(whole))}")
    problems.extend(f"--zip {problem}" for problem in wrong)
    return [setting for setting in settings if setting.key != "device"]


def _take_device(settings: list[Setting], composer: Composer, problems: list[str]) -> str:
    """Remove ``device`` from the settings: it says where to train and is no part of a spec."""
    devices = [value for setting in settings if setting.key == "device" for value in setting.values]
    settings[:] = [setting for setting in settings if setting.key != "device"]
    default = str(composer.defaults["device"])
    if len(devices) > 1:
        problems.append(f"device={','.join(map(shown, devices))}: must be one device, as it is not swept; name it once")
        return default
    device = devices[0] if devices else default
    if isinstance(device, str) and re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", device):
        return device
    gpu = re.fullmatch(r"(?:gpu|cuda)[-_. :]?([0-9]{0,3})", str(device).lower())
    slip = f"; write device=cuda{f':{gpu.group(1)}' if gpu.group(1) else ''}" if gpu else ""
    problems.append(f"device={shown(device)}: must be {DEVICES}{slip}")
    return default


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values without repetitions; 1, 1.0 and true are different here."""
    return tuple({repr(value): tuple(value) if isinstance(value, list) else value for value in values}.values())
