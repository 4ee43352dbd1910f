"""The components a run can be built from: the built-in norms, models and datasets, and those of a plugin file.

A plugin is a Python file that defines ``NORMS``, ``MODELS`` and/or ``DATASETS`` (dicts from a name to a class or
function, as the built-in registries). It is the only code that is ever executed on a user's behalf, and never in the
process of the program, which knows all components by a :class:`Description` each.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from torch import nn

from bnbench.data import DATASETS, Data, load, require_splits
from bnbench.error_origin import foreign_line, line_of
from bnbench.errors import BnbenchError, PluginError, described
from bnbench.global_state import preserved_global_state, seeded_generators
from bnbench.models import MODELS, build, build_lanes
from bnbench.norms import NORMS
from bnbench.plugin_modules import SiblingModules, read_plugin, show_lines, unchanged, use
from bnbench.plugin_source import Plugin, source_hash
from bnbench.schema import Descriptions, describe
from bnbench.spec import RunSpec, stream

Registry = Mapping[str, Callable[..., Any]]
T = TypeVar("T")
_NAME = re.compile(
    r"(?!(null|none|na|nan|inf|infinity|true|false|yes|no|on|off|y|n)$)[a-z][a-z0-9_]*", re.ASCII | re.IGNORECASE
)
"""Names that need no quotes on the command line, and are read as names from YAML and tables."""
_NOT = "and no word that is read as nothing, a truth value or a number (none, na, null, yes, inf, ...)"


class Sizes(Protocol):
    """The sizes of data that a network depends on."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        ...

    @property
    def classes(self) -> int:
        """The number of outputs."""
        ...


BUILT_IN: dict[str, Registry] = {"norm": NORMS, "model": MODELS, "dataset": DATASETS}


@dataclass(frozen=True, eq=False)
class Components:
    """Registries by group (norm, model, dataset), and what is built from them.

    Attributes:
        registries: with the components of a plugin only where it was executed.
        added: by group, the names that come from a plugin.
        plugin: its source as it was read, or None without one.
    """

    registries: Mapping[str, Registry]
    added: Mapping[str, frozenset[str]]
    plugin: Plugin | None = None

    @cached_property
    def described(self) -> Descriptions:
        """The plugin's components, as they are known where it was not executed.

        Raises:
            PluginError: see :func:`describe`.
        """
        return describe(self.registries, self.added)

    @property
    def source_hash(self) -> str | None:
        """The hash of the plugin's source and of its imports from its folder; see :func:`plugin_source.source_hash`."""
        return None if self.plugin is None else self.plugin.source_hash

    def uses_plugin(self, **names: str) -> bool:
        """True if one of the named components (``norm="mine"``) comes from the plugin."""
        return any(name in self.added.get(group, ()) for group, name in names.items())

    def load(self, spec: RunSpec, root: Path) -> Data:
        """The data of a spec from the data folder ``root``, the same for all seeds also if random; on the CPU.

        Raises:
            BnbenchError: there is no such data, or it cannot be used.
        """
        known = self.registries["dataset"], spec.domains, spec.data
        return self._of_dataset(spec, lambda: load(spec.dataset, spec.split, root, *known))

    def require_splits(self, specs: Iterable[RunSpec], root: Path) -> None:
        """Raise as :meth:`load` would for one of some specs, which differ in no more of their data than the split.

        Raises:
            InvalidRequest: with the problems of all splits.
            BnbenchError: there is no such data, or it cannot be used.
        """
        splits = {spec.split: spec for spec in specs}
        first = next(iter(splits.values()))
        known = self.registries["dataset"], first.data
        self._of_dataset(first, lambda: require_splits(first.dataset, list(splits), root, *known))

    def _of_dataset(self, spec: RunSpec, read: Callable[[], T]) -> T:
        """The result of reading a spec's dataset; a user's loader draws the same random numbers every time."""
        if not self.uses_plugin(dataset=spec.dataset.name):
            return read()
        try:
            with preserved_global_state(), seeded_generators(stream(0, "dataset", spec.dataset.name)):
                return read()
        except (BnbenchError, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"dataset={spec.dataset.name} raised {described(error)}{foreign_line(error)}"
            raise PluginError(message) from error

    def build(self, spec: RunSpec, data: Sizes) -> nn.Module:
        """The initialized network of a spec for such data, on torch's default device."""
        norm = self._norm(spec)
        with preserved_global_state() if self.uses_plugin(model=spec.model.name) else nullcontext():
            return build(spec.model, norm, data.shape, data.classes, spec.seed, self.registries["model"], spec.train)

    def build_lanes(self, specs: Sequence[RunSpec], data: Sizes) -> list[nn.Module]:
        """The initialized network of each of some specs with one stack key; they may share tensors."""
        spec, seeds = specs[0], [one.seed for one in specs]
        if self.uses_plugin(norm=spec.norm.name, model=spec.model.name):
            return [self.build(one, data) for one in specs]
        return build_lanes(spec.model, self._norm(spec), data.shape, data.classes, seeds, spec.train)

    def _norm(self, spec: RunSpec) -> Callable[[int], nn.Module]:
        """Makes the norm of a spec for a number of channels."""
        norm: Callable[[int], nn.Module] = partial(self.registries["norm"][spec.norm.name], **spec.norm.options)
        return preserved_global_state()(norm) if self.uses_plugin(norm=spec.norm.name) else norm


@dataclass(frozen=True)
class DataFolder:
    """The folder of the datasets: called with a spec, it loads its data with some components."""

    parts: Components
    root: Path

    def __call__(self, spec: RunSpec) -> Data:
        """See :meth:`Components.load`."""
        return self.parts.load(spec, self.root)

    def require_splits(self, specs: Iterable[RunSpec]) -> None:
        """See :meth:`Components.require_splits`."""
        self.parts.require_splits(specs, self.root)


def components(plugin: Path | Plugin | None = None, anew: bool = False) -> Components:
    """The built-in components and, if given, those of a plugin, which is executed: its file, or what was read of it.

    A file and what it imports from its folder are read at each call and executed again only if they have changed. Of
    what was read no file is read again.

    Args:
        anew: execute it in any case, so that globals and class attributes are as at the start.

    Raises:
        PluginError: the file cannot be read, raises, defines nothing, or takes a built-in name.
    """
    if plugin is None:
        return Components(BUILT_IN, {})
    file = plugin.file if isinstance(plugin, Plugin) else plugin.expanduser().absolute()
    loaded = _plugins.get(file)
    if anew or loaded is None or not loaded.is_current(plugin):
        loaded = _plugins[file] = _load(plugin if isinstance(plugin, Plugin) else read_plugin(file))
    use(loaded.beside)
    return loaded.components


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A plugin that was executed, and the modules beside it."""

    components: Components
    source: bytes
    beside: SiblingModules

    def is_current(self, plugin: Path | Plugin) -> bool:
        """True if a plugin holds just this: its source as it was read, or its files now."""
        if isinstance(plugin, Plugin):
            return (plugin.source, plugin.beside) == (self.source, self.beside.sources)
        return unchanged({plugin.expanduser().absolute(): self.source, **self.beside.sources})


_plugins: dict[Path, _Loaded] = {}


def _load(plugin: Plugin) -> _Loaded:
    file, beside = plugin.file, SiblingModules(plugin.file.parent, dict(plugin.beside))
    for path, source in {file: plugin.source, **beside.sources}.items():
        show_lines(path, source)
    use(beside)
    module = _execute(file, plugin.source, f"bnbench_plugin_{plugin.source_hash[:12]}", beside)
    added = {group: getattr(module, f"{group.upper()}S", {}) for group in BUILT_IN}
    for group, registry in added.items():
        _check_registry(f"--plugin {file}: {group.upper()}S", registry, BUILT_IN[group])
    if not any(added.values()):
        needs = "the file must define NORMS, MODELS or DATASETS, for example NORMS = {'mine': Mine}"
        raise PluginError(f"--plugin {file}: {needs}")
    has_more = beside.sources.keys() != plugin.beside.keys()  # by imports that no statement names
    parts = Components(
        registries={group: {**built_in, **added[group]} for group, built_in in BUILT_IN.items()},
        added={group: frozenset(registry) for group, registry in added.items()},
        plugin=replace(
            plugin,
            beside=beside.sources,
            source_hash=source_hash(file, plugin.source, beside.sources) if has_more else plugin.source_hash,
        ),
    )
    return _Loaded(parts, plugin.source, beside)


def _execute(plugin: Path, source: bytes, name: str, beside: SiblingModules) -> ModuleType:
    """Run exactly the bytes that were hashed; an import could take older ones from a bytecode file, and leaves one."""
    module = ModuleType(name)
    module.__file__ = str(plugin)
    sys.modules[name] = module  # where dataclasses and inspect look for the source of a class
    try:
        with preserved_global_state():
            exec(compile(source, str(plugin), "exec", dont_inherit=True), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        line = _plugin_line({str(plugin), *map(str, beside.sources)}, error)
        raise PluginError(f"--plugin {plugin} raised {described(error)}{line}") from error
    return module


def _plugin_line(files: Collection[str], error: BaseException) -> str:
    """The plugin's line in a traceback: a user wants that one, not ours."""
    if isinstance(error, SyntaxError) and error.filename in files and error.lineno is not None:
        return f"\n  {error.filename}:{error.lineno}: {(error.text or '').strip()}"
    return line_of(frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files)


def _check_registry(where: str, registry: Any, built_in: Registry) -> None:
    if not isinstance(registry, dict):
        raise PluginError(f"{where} must be a dict from a name to a class or function, not {registry!r:.80}")
    for name, item in registry.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"{where}: {name!r:.80} must be a name of letters, digits and underscores, {_NOT}")
        if name in built_in:
            raise PluginError(f"{where} uses the built-in name {name!r}; choose another name")
        if not callable(item) or isinstance(item, nn.Module):
            raise PluginError(f"{where}: {name!r} must be a class or function, not {item!r:.80}")
