"""From overrides to run specs: composes, converts and checks every cell, and reports all problems at once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnbench.components import Components
from bnbench.config import grid
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.fields import Mismatch, convert, option_types
from bnbench.config.grammar import Setting, parse, split
from bnbench.errors import nearest
from bnbench.spec import OPTIMS, SCHEDULES, Choice, Evaluate, RunSpec, Split, Value, check, flatten

NESTED = {"split": Split, "evaluate": Evaluate}


@dataclass(frozen=True)
class Request:
    """What a user asked for.

    Attributes:
        specs: the distinct runs, in the order of the grid.
        factors: the swept keys and their values as typed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:i``; where to train, no part of a run's identity.
        typed: the texts as typed: overrides, zips, excludes.
        excluded: how many runs the exclusions removed.
        notes: what the user should know although nothing is wrong.
        problems: what is wrong with the request, one sentence each; such a request must not be carried out. The specs
            are those that could be made nevertheless, so that more problems can be found in the same pass.
    """

    specs: tuple[RunSpec, ...]
    factors: Mapping[str, tuple[Value, ...]]
    device: str
    typed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def compose_request(
    overrides: Sequence[str],
    components: Components,
    zips: Sequence[str] = (),
    excludes: Sequence[str] = (),
) -> Request:
    """Turn overrides in Hydra's grammar into specs.

    An option that only some of the swept choices have applies to those; the others are planned once. Equal specs are
    one run.

    Args:
        overrides: ``key=value`` texts; ``key=a,b``, ranges and globs make a factor.
        components: the registries, with those of a plugin.
        zips: texts of several settings that advance together.
        excludes: texts of conditions; a run that meets all conditions of one text is left out.
    """
    problems: list[str] = []
    composer = Composer(components)
    settings = parse(overrides, composer.names, problems)
    zipped = [parse(split(text), composer.names, problems) for text in zips]
    conditions = [parse(split(text), composer.names, problems) for text in excludes]
    device = _take_device(settings, composer, problems)
    every = [*settings, *itertools.chain.from_iterable(zipped)]
    _check_keys(every, composer, problems)
    product = grid.factors(_usable(settings, composer), [_usable(group, composer) for group in zipped], problems)
    if len(zips) and not all(zipped):
        problems.append("--zip: no settings given; write for example --zip 'batch_size=8,32 lr=0.1,0.4'")

    builder = _Builder(composer, problems)
    distinct = list(dict.fromkeys(spec for cell in grid.cells(product) if (spec := builder.build(cell)) is not None))
    for spec in distinct:
        problems.extend(check(spec))
    specs, notes = _exclude(distinct, conditions, problems)
    if not specs and not problems:
        problems.append("the sweep is empty: every run is excluded")
    return Request(
        specs=tuple(specs),
        factors={setting.key: setting.values for setting in every if setting.swept or len(setting.values) > 1},
        device=device,
        typed={"overrides": tuple(overrides), "zip": tuple(zips), "exclude": tuple(excludes)},
        excluded=len(distinct) - len(specs),
        notes=tuple(notes),
        problems=tuple(dict.fromkeys(problems)),
    )


def _take_device(settings: list[Setting], composer: Composer, problems: list[str]) -> str:
    """Remove ``device`` from the settings: it says where to train and is no part of a spec."""
    given = [setting for setting in settings if setting.key == "device"]
    for setting in given:
        settings.remove(setting)
    device = given[-1].values[-1] if given else composer.defaults["device"]
    if any(len(setting.values) > 1 for setting in given) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(device)):
        problems.append(f"device={device}: must be one of auto, cpu, cuda, cuda:0, cuda:1, ..., and is not swept")
    return str(device)


def _check_keys(settings: Sequence[Setting], composer: Composer, problems: list[str]) -> None:
    """Every key must be a key of the defaults, a group with known names, or an option that some swept arm has."""
    for setting in settings:
        names = composer.names(setting.key)
        if names is not None:
            problems.extend(
                f"{setting.key}={value}: unknown {setting.key}; {nearest(str(value), names)}"
                for value in setting.values
                if value not in names
            )
        elif not _known(setting.key, settings, composer):
            problems.append(_unknown_key(setting.key, settings, composer))


def _choices(group: str, settings: Sequence[Setting], composer: Composer) -> list[str]:
    """The known choices of a group that the settings use, or its default."""
    asked = [str(value) for setting in settings if setting.key == group for value in setting.values]
    known = composer.names(group) or []
    return [name for name in asked if name in known] or [composer.chosen[group]]


def _known(key: str, settings: Sequence[Setting], composer: Composer) -> bool:
    head, _, option = key.partition(".")
    if head in GROUPS and option:
        return any(option in composer.options(head, name) for name in _choices(head, settings, composer))
    if head in NESTED:
        return option in option_types(NESTED[head])
    return key in composer.defaults


def _unknown_key(key: str, settings: Sequence[Setting], composer: Composer) -> str:
    head, _, option = key.partition(".")
    if head in GROUPS and option:
        arms = _choices(head, settings, composer)
        allowed = list(dict.fromkeys(option for name in arms for option in composer.options(head, name)))
        has = nearest(option, allowed) if allowed else "it has no options"
        return f"{key}: no option {option!r} in {', '.join(f'{head}={name}' for name in arms)}; {has}"
    if head in NESTED:
        return f"{key}: unknown key; {nearest(key, [f'{head}.{name}' for name in option_types(NESTED[head])])}"
    plain = [name for name in composer.defaults if name not in NESTED]
    dotted = [f"{head}.{name}" for head, kind in NESTED.items() for name in option_types(kind)]
    return f"{key}: unknown key; {nearest(key, [*GROUPS, *plain, *dotted])}"


def _usable(settings: Sequence[Setting], composer: Composer) -> list[Setting]:
    """The settings without unknown group choices, so that the remaining problems are found in the same pass."""
    usable = []
    for setting in settings:
        names = composer.names(setting.key)
        values = setting.values if names is None else tuple(value for value in setting.values if value in names)
        if values:
            usable.append(Setting(setting.key, values, setting.swept))
    return usable


class _Builder:
    """Builds specs from cells; each part of a spec (a choice with its options) is converted once and kept."""

    def __init__(self, composer: Composer, problems: list[str]) -> None:
        self._composer = composer
        self._problems = problems
        self._parts: dict[Any, Any] = {}
        self._hints = option_types(RunSpec)
        self._defaults = composer.defaults
        self._plain = [key for key in self._defaults if key not in NESTED and key != "device"]

    def build(self, cell: grid.Cell) -> RunSpec | None:
        """The spec of a cell, or None if a value has the wrong type."""
        values: dict[str, Any] = {}
        for group in GROUPS:
            name = cell.get(group, self._composer.chosen[group])
            values[group] = self._part(group, str(name), cell)
        for head in NESTED:
            values[head] = self._part(head, None, cell)
        for key in self._plain:
            values[key] = self._scalar(key, cell.get(key, self._defaults[key]))
        if cell.get("steps") is not None and "epochs" not in cell:
            values["epochs"] = None
        values["plugin"] = self._plugin(values)
        if any(value is _WRONG for value in values.values()):
            return None
        return RunSpec(**values)

    def _plugin(self, values: Mapping[str, Any]) -> str | None:
        names = {group: values[group].name for group in ("norm", "model", "dataset") if values[group] is not _WRONG}
        components = self._composer.components
        return components.source_hash if components.uses_plugin(**names) else None

    def _scalar(self, key: str, value: Any) -> Any:
        memory = (key, type(value), _frozen(value))
        if memory not in self._parts:
            self._parts[memory] = self._convert(key, self._hints[key], value)
        return self._parts[memory]

    def _part(self, head: str, name: str | None, cell: grid.Cell) -> Any:
        given = tuple((key, value) for key, value in cell.items() if key.startswith(f"{head}."))
        memory = (head, name, tuple((key, type(value), _frozen(value)) for key, value in given))
        if memory not in self._parts:
            self._parts[memory] = self._make_part(head, name, dict(given))
        return self._parts[memory]

    def _make_part(self, head: str, name: str | None, given: Mapping[str, Any]) -> Any:
        if name is None:
            defaults: Mapping[str, Any] = self._defaults[head]
            types: Mapping[str, Any] = option_types(NESTED[head])
        else:
            defaults, types = self._composer.options(head, name), self._composer.types(head, name)
        values = {
            option: self._convert(f"{head}.{option}", types[option], given.get(f"{head}.{option}", default))
            for option, default in defaults.items()
        }
        if any(value is _WRONG for value in values.values()):
            return _WRONG
        return make_part(head, name, values)

    def _convert(self, key: str, annotation: Any, value: Any) -> Any:
        try:
            return convert(annotation, value)
        except Mismatch as mismatch:
            self._problems.append(f"{key}={_shown(value)}: {mismatch}")
            return _WRONG


def make_part(head: str, name: str | None, values: Mapping[str, Any]) -> Any:
    """The part of a spec under ``head``: a nested dataclass, or the dataclass or :class:`Choice` chosen by ``name``."""
    if name is None:
        return NESTED[head](**values)
    closed: dict[str, Mapping[str, Any]] = {"optim": OPTIMS, "schedule": SCHEDULES}
    return closed[head][name](**values) if head in closed else Choice.of(name, values)


_WRONG = object()


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else str(value) if isinstance(value, dict) else value


def _shown(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _exclude(
    specs: list[RunSpec], exclusions: Sequence[Sequence[Setting]], problems: list[str]
) -> tuple[list[RunSpec], list[str]]:
    if not exclusions:
        return specs, []
    flat = [flatten(spec) for spec in specs]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    for conditions in exclusions:
        if not conditions:
            problems.append("--exclude: no condition given; write for example --exclude 'norm=none batch_size=2'")
        problems.extend(
            f"--exclude {setting.key}: unknown key; {nearest(setting.key, columns)}"
            for setting in conditions
            if specs and setting.key not in columns
        )
    hits = [[grid.matches(row, conditions) for row in flat] for conditions in exclusions]
    notes = [
        f"--exclude {' '.join(f'{setting.key}={setting.values}' for setting in conditions)} matches no run"
        for conditions, hit in zip(exclusions, hits, strict=True)
        if conditions and not any(hit)
    ]
    kept = [spec for index, spec in enumerate(specs) if not any(hit[index] for hit in hits)]
    return kept, notes
