"""Descriptions of components as plain data, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bnbench.plugin_source import Plugin
from bnbench.schema.facts import DataFacts, Facts
from bnbench.spec import RunSpec


@dataclass(frozen=True)
class Description:
    """All that the program knows of a component, as plain data.

    Attributes:
        options: with their defaults.
        types: annotations of the options.
        doc: its docstring.
        facts: of a norm that states some.
        data: facts about a built-in dataset.
    """

    options: Mapping[str, Any]
    types: Mapping[str, Any]
    doc: str
    facts: Facts | None = None
    data: DataFacts | None = None


Descriptions = Mapping[tuple[str, str], Description]
"""By group and name."""


class Parts(Protocol):
    """The components beside the built-in ones: those of a plugin, executed or not.

    Attributes:
        added: by group, the names that come from a plugin.
        described: the plugin's components.
        source_hash: of the plugin's source and of what it imports from its folder; None without one.
    """

    @property
    def added(self) -> Mapping[str, frozenset[str]]: ...  # noqa: D102
    @property
    def described(self) -> Descriptions: ...  # noqa: D102
    @property
    def source_hash(self) -> str | None: ...  # noqa: D102

    def uses_plugin(self, **names: str) -> bool: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Known:
    """A plugin that the program has not executed; without one, nothing is added.

    Attributes:
        added: by group, the names that come from a plugin.
        plugin: its source as it was read, or None without one.
        described: the plugin's components.
    """

    added: Mapping[str, frozenset[str]] = field(default_factory=dict)
    plugin: Plugin | None = None
    described: Descriptions = field(default_factory=dict)

    @property
    def source_hash(self) -> str | None:
        """The hash of the plugin's source and of what it imports from its folder; None without a plugin."""
        return None if self.plugin is None else self.plugin.source_hash

    def plugin_of(self, specs: Iterable[RunSpec]) -> Plugin | None:
        """The plugin, if one of some runs has a component of it."""
        return self.plugin if any(spec.plugin is not None for spec in specs) else None

    def uses_plugin(self, **names: str) -> bool:
        """True if one of the named components (``norm="mine"``) comes from the plugin."""
        return any(name in self.added.get(group, ()) for group, name in names.items())
