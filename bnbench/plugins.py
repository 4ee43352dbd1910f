"""Plugins as the program knows them: it executes nothing of one, but asks a process that does, and may die of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bnbench.errors import PluginError
from bnbench.isolation import Specs, ask_of_import
from bnbench.plugin_modules import read_plugin, unchanged
from bnbench.plugin_source import Plugin
from bnbench.schema import Descriptions, Known
from bnbench.schema.fields import OPEN

if TYPE_CHECKING:
    from bnbench.components import Components, DataFolder

_known: dict[Path, Known] = {}


def known_components(plugin: Path | None) -> Known:
    """The components beside the built-in ones: the descriptions of a plugin's, if one is given.

    A process is asked again only if the file, or what it imports from its folder, has changed.

    Raises:
        PluginError: the plugin cannot be read or imported, defines nothing, takes a built-in name, or has a component
            that cannot be used.
    """
    if plugin is None:
        return Known()
    file = plugin.expanduser().absolute()
    known = _known.get(file)
    if known is None or known.plugin is None or not unchanged({file: known.plugin.source, **known.plugin.beside}):
        known = _known[file] = _ask(read_plugin(file))
    return known


def _ask(read: Plugin) -> Known:
    match ask_of_import(_described, read):
        case (Plugin() as plugin, dict() as found):
            added = {group: frozenset(name for kind, name in found if kind == group) for group in OPEN}
            return Known(added, plugin, found)
    raise PluginError(f"--plugin {read.file}: importing it failed: the process that did has given no answer")


def _described(specs: Specs, parts: Components, load: DataFolder) -> tuple[Plugin | None, Descriptions]:
    """A plugin and the descriptions of its components; a :data:`Question`."""
    return parts.plugin, parts.described
