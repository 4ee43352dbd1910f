"""From cells to specs: each part of a spec is converted once per distinct value and then looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bnbench.config import slips
from bnbench.config.compose import CLOSED, GROUPS, Composer
from bnbench.config.grammar import Setting
from bnbench.config.grid import Cell
from bnbench.config.keys import NESTED
from bnbench.errors import nearest
from bnbench.schema.convert import WrongType, convert, shown
from bnbench.schema.fields import OPEN, field_types
from bnbench.schema.torchvision_names import torchvision_names
from bnbench.spec import Choice, RunSpec

_WRONG = object()


class Builder:
    """Builds the specs of cells of ``settings``; a wrong value is added to ``problems``."""

    def __init__(self, composer: Composer, settings: Iterable[Setting], problems: list[str]) -> None:
        self._composer = composer
        self._problems = problems
        self._defaults = composer.defaults
        self._hints = field_types(RunSpec)
        self._given = {setting.key: setting.values for setting in settings}
        heads = [*GROUPS, *(key for key in self._defaults if key != "device")]
        self._keys = {head: [key for key in self._given if key.partition(".")[0] == head] for head in heads}
        self._constant = {head: self._value(head, {}) for head, keys in self._keys.items() if not keys}
        self._varied = [(head, keys) for head, keys in self._keys.items() if keys]
        self._made: dict[tuple[Any, ...], Any] = {}

    def build(self, cell: Cell) -> RunSpec | None:
        """The spec of a cell, or None if a value has the wrong type."""
        values = dict(self._constant)
        for head, keys in self._varied:
            # by identity, which tells 1 from 1.0 and true; the settings keep the values alive
            memory = (head, *[id(cell[key]) if key in cell else None for key in keys])
            if memory not in self._made:
                self._made[memory] = self._value(head, {key: cell[key] for key in keys if key in cell})
            values[head] = self._made[memory]
        if cell.get("steps") is not None and "epochs" not in cell:
            values["epochs"] = None
        if _WRONG in values.values():
            return None
        values["plugin"] = self._plugin(values)
        return RunSpec(**values)

    def _plugin(self, values: Mapping[str, Any]) -> str | None:
        parts = self._composer.parts
        uses_plugin = parts.uses_plugin(**{group: values[group].name for group in OPEN})
        return parts.source_hash if uses_plugin else None

    def _value(self, head: str, settings: Mapping[str, Any]) -> Any:
        if head in GROUPS:
            name = str(settings.get(head, self._composer.chosen[head]))
            return self._part(
                head, name, self._composer.options(head, name), self._composer.types(head, name), settings
            )
        if head in NESTED:
            return self._part(head, None, self._defaults[head], field_types(NESTED[head]), settings)
        return self._convert(head, self._hints[head], settings.get(head, self._defaults[head]))

    def _part(
        self,
        head: str,
        name: str | None,
        defaults: Mapping[str, Any],
        types: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> Any:
        values = {
            option: self._convert(f"{head}.{option}", types[option], settings.get(f"{head}.{option}", default))
            for option, default in defaults.items()
        }
        if (head, name) == ("model", "torchvision") and values["name"] is not _WRONG:
            # torchvision itself is asked for the name only once there are data for its network
            if (classifier := values["name"]) not in (known := torchvision_names() or (classifier,)):
                self._problems.append(f"model.name={classifier}: {nearest(classifier, known)}")
        return _WRONG if _WRONG in values.values() else make_part(head, name, values)

    def _convert(self, key: str, annotation: Any, value: Any) -> Any:
        try:
            return convert(annotation, value)
        except WrongType as mismatch:
            needed = f"cannot be left out, with ~{key} or null; " if value is None else ""
            values = self._given.get(key, (value,))
            slip = slips.rewritten(key, annotation, value, values)
            # of a list without brackets each item is wrong for one reason
            typed = ",".join(map(shown, values)) if slip and slips.wants_list(annotation) else shown(value)
            self._problems.append(f"{key}={typed}: {needed}{mismatch}{slip}")
            return _WRONG


def make_part(head: str, name: str | None, values: Mapping[str, Any]) -> Any:
    """The part of a spec under ``head``: a nested dataclass, or the dataclass or :class:`Choice` chosen by ``name``."""
    if name is None:
        return NESTED[head](**values)
    return CLOSED[head][name](**values) if head in CLOSED else Choice.of(name, values)
