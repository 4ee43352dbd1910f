"""--exclude: leaves out the runs that meet all conditions of one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnbench.config.compose import GROUPS, Composer
from bnbench.config.grammar import Setting, parse, split
from bnbench.config.keys import NESTED, Arms
from bnbench.schema.convert import WrongType, convert, shown
from bnbench.schema.fields import field_types
from bnbench.spec import RunSpec, Value, flatten


@dataclass(frozen=True)
class Exclusion:
    """By column of a run, the values that a run must have to be left out."""

    text: str
    conditions: Mapping[str, frozenset[Value]]

    def meets(self, columns: Mapping[str, Value]) -> bool:
        """True for a run that meets all conditions."""
        return all(key in columns and columns[key] in values for key, values in self.conditions.items())


def exclusions(texts: Sequence[str], arms: Arms, composer: Composer, problems: list[str]) -> list[Exclusion]:
    """The exclusions of a request; what is wrong with them is added to ``problems``."""
    result = []
    for text in texts:
        wrong: list[str] = []
        settings = parse(split(text), composer.names, wrong)
        if not settings and not wrong:
            wrong.append("no condition given; write for example 'norm=none batch_size=2'")
        if any(setting.key == "device" for setting in settings):
            wrong.append("device: is no part of a run; leave it out")
        wrong += arms.problems(settings)
        conditions = [] if wrong else [(item.key, _values(item, arms, composer, wrong)) for item in settings]
        if not wrong:
            result.append(Exclusion(text, _intersected(conditions)))
        problems.extend(f"--exclude {problem}" for problem in wrong)
    return result


def apply_exclusions(specs: Sequence[RunSpec], excluded: Sequence[Exclusion]) -> tuple[list[RunSpec], list[str]]:
    """The specs that stay, and the texts of exclusions that meet none."""
    if not excluded:
        return list(specs), []
    rows = [flatten(spec) for spec in specs]
    hits = [[exclusion.meets(row) for row in rows] for exclusion in excluded]
    idle = [exclusion.text for exclusion, hit in zip(excluded, hits, strict=True) if not any(hit)]
    return [spec for spec, *hit in zip(specs, *hits, strict=True) if not any(hit)], idle


def _intersected(conditions: Sequence[tuple[str, frozenset[Value]]]) -> dict[str, frozenset[Value]]:
    merged: dict[str, frozenset[Value]] = {}
    for key, values in conditions:
        merged[key] = merged.get(key, values) & values
    return merged


def _values(setting: Setting, arms: Arms, composer: Composer, wrong: list[str]) -> frozenset[Value]:
    """The values of a condition as the arms that have its key hold them."""
    converted = set()
    for value in setting.values:
        reason = ""
        for annotation in _annotations(setting.key, arms, composer):
            try:
                converted.add(convert(annotation, value))
                break
            except WrongType as mismatch:
                reason = reason or str(mismatch)
        else:
            wrong.extend([f"{setting.key}={shown(value)}: {reason}"] if reason else [])
    return frozenset(converted)


def _annotations(key: str, arms: Arms, composer: Composer) -> list[Any]:
    head, _, option = key.partition(".")
    if key in GROUPS:
        return [str]
    if head in GROUPS:
        types = [composer.types(head, name) for name in arms.names(head)]
        return [known[option] for known in types if option in known]
    return [field_types(NESTED[head])[option] if head in NESTED else field_types(RunSpec)[key]]
