"""The settings of a run: their defaults, and the options of one choice of a config group."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from bnbench.schema import Augmentation, Facts, Parts, built_in
from bnbench.schema.fields import field_types
from bnbench.spec import OPTIMS, SCHEDULES

GROUPS = ("norm", "model", "dataset", "optim", "schedule")
CLOSED: dict[str, Mapping[str, type]] = {"optim": OPTIMS, "schedule": SCHEDULES}
"""The groups that a plugin cannot add to: a dataclass per choice."""

_SENTENCE_END = re.compile(r"\. (?=[A-Z`])")
"""``et al. 2017`` goes on."""


class Composer:
    """All settings and their defaults: built-in choices as they ship, those of a plugin as it describes them.

    Raises:
        PluginError: a component of an executed plugin cannot be used.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._choices = {**built_in().choices, **parts.described}
        self._names = {group: sorted({*built_in().names(group), *parts.added.get(group, ())}) for group in GROUPS}

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The top-level keys and their defaults, without the groups."""
        return built_in().defaults

    @property
    def chosen(self) -> Mapping[str, str]:
        """The default choice of each group."""
        return built_in().chosen

    def names(self, group: str) -> list[str] | None:
        """The choices of a group, in alphabetical order; None if there is no such group."""
        return self._names.get(group)

    def options(self, group: str, name: str) -> Mapping[str, Any]:
        """The options of one choice and their defaults."""
        return self._choices[group, name].options

    def types(self, group: str, name: str) -> Mapping[str, Any]:
        """The annotations of the options of one choice."""
        if group in CLOSED:
            return field_types(_dataclass(group, name))
        options = self._choices[group, name].types
        return {**options, **field_types(Augmentation)} if group == "dataset" else options

    def doc(self, group: str, name: str) -> str:
        """The docstring of a choice; empty if it has none."""
        return inspect.getdoc(_dataclass(group, name)) or "" if group in CLOSED else self._choices[group, name].doc

    def facts(self, name: str) -> Facts | None:
        """The facts of a norm; one of a plugin need not have any."""
        return self._choices["norm", name].facts

    def summary(self, group: str, name: str) -> str:
        """The first sentence of the docstring of a choice."""
        text = self.doc(group, name)
        return _SENTENCE_END.split(" ".join(text.split("\n\n")[0].split()))[0].rstrip(".").replace("`", "")


def _dataclass(group: str, name: str) -> type:
    return CLOSED[group][name]
