"""A spec as plain values: nested, as columns of a table, and in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bnbench.spec.optim import OPTIMS, Optim
from bnbench.spec.run import Choice, Evaluate, RunSpec, Split, Value
from bnbench.spec.schedule import SCHEDULES, Schedule

_KINDS: dict[type, str] = {kind: name for name, kind in (*OPTIMS.items(), *SCHEDULES.items())}
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (RunSpec, Split, Evaluate, *OPTIMS.values(), *SCHEDULES.values())
}

LATER: Mapping[str, Value] = {"devices": 1}
"""Settings that earlier versions did not have, and what those runs had: there they are left out of a spec's tree, so
that a run keeps its identity."""


def as_tree(spec: RunSpec) -> dict[str, Any]:
    """The spec as nested plain values; a choice becomes ``{name: {option: value}}``. See :data:`LATER`."""
    values = {name: getattr(spec, name) for name in _FIELDS[RunSpec]}
    return {name: _tree(value) for name, value in values.items() if name not in LATER or value != LATER[name]}


def _tree(value: Any) -> Any:
    match value:
        case str() | int() | float() | None:
            return value
        case tuple():
            return list(value)
        case Choice():
            return {value.name: {key: _tree(option) for key, option in value.items}}
        case Split() | Evaluate():
            return {name: getattr(value, name) for name in _FIELDS[type(value)]}
        case _:
            return {kind_name(value): {name: _tree(getattr(value, name)) for name in _FIELDS[type(value)]}}


def kind_name(part: Optim | Schedule) -> str:
    """The name by which an optimizer or schedule is chosen."""
    return _KINDS[type(part)]


def arm(spec: RunSpec) -> str:
    """The components that a run compares, as they are typed; of torchvision's classifiers the name as well."""
    classifier = f" model.name={spec.model.options['name']}" if "name" in spec.model.options else ""
    return f"norm={spec.norm.name} model={spec.model.name}{classifier} dataset={spec.dataset.name}"


def flatten(spec: RunSpec) -> dict[str, Value]:
    """The spec as dotted columns: ``norm`` holds the chosen name, ``norm.groups`` an option of it."""
    columns: dict[str, Value] = {}
    for name in _FIELDS[RunSpec]:
        value = getattr(spec, name)
        if isinstance(value, Choice):
            columns[name] = value.name
            columns.update((f"{name}.{key}", option) for key, option in value.items)
        elif (parts := _FIELDS.get(type(value))) is not None:
            if type(value) in _KINDS:
                columns[name] = kind_name(value)
            columns.update((f"{name}.{part}", getattr(value, part)) for part in parts)
        else:
            columns[name] = value
    return columns
