"""The modules beside a plugin's file, which it may import and which are part of its source.

Nothing that is installed is hidden by them: they are looked for last.
"""

from __future__ import annotations

import ast
import importlib
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import decode_source, spec_from_file_location
from pathlib import Path
from types import ModuleType

from bnbench.errors import PluginError
from bnbench.paths import content
from bnbench.plugin_source import Plugin, parsed, source_hash

PROGRAM_PACKAGES = sys.stdlib_module_names | {"bnbench", "torch", "torchvision", "__main__"}
"""Packages whose code is not a user's."""

Sources = dict[Path, bytes]


@dataclass(frozen=True, eq=False)
class SiblingModules:
    """The modules beside a plugin.

    Attributes:
        folder: of the plugin.
        sources: by file; what is imported and is none of them yet is read once and becomes one.
        modules: by name, those that are imported.
    """

    folder: Path
    sources: Sources
    modules: dict[str, ModuleType] = field(default_factory=dict)


class _Loader(SourceFileLoader):
    """Runs the bytes that were read first; bytecode could be older, and would be left beside the source."""

    def __init__(self, name: str, path: str, sources: Sources) -> None:
        super().__init__(name, path)
        self._sources = sources

    def get_data(self, path: str) -> bytes:
        """The source of the module, or a file of its package."""
        file = Path(path)
        if file not in self._sources:
            data = super().get_data(path)
            if file.suffix != ".py":
                return data
            self._sources[file] = data
            show_lines(file, data)
        return self._sources[file]

    def path_stats(self, path: str) -> Mapping[str, float]:
        """None: without the time of a change there is no bytecode."""
        raise OSError("bytecode is not wanted")


class _Finder:
    """Finds modules beside the plugin that is in use.

    Args:
        first: find those that are known, and those within packages, as the first of Python's finders; else all others,
            as the last one.
    """

    def __init__(self, first: bool) -> None:
        self._first = first

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The place of a module that is beside the plugin."""
        if _current is None or (path is not None and not self._first):
            return None
        package = _current.folder / name.partition(".")[0]
        if path is not None and not any(Path(place).is_relative_to(package) for place in path):
            return None
        places = [str(_current.folder)] if path is None else path
        if self._first and (known := _known_spec(name, [*map(Path, places)], _current.sources)):
            return known
        if self._first and path is None:
            return None
        spec = PathFinder.find_spec(name, places)
        if spec is not None and spec.origin is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.origin, _current.sources)
        return spec


def _known_spec(name: str, places: Sequence[Path], sources: Sources) -> ModuleSpec | None:
    """The place of a module whose source is known: its file, or the folder of a package, may be gone by now."""
    last = name.rpartition(".")[2]
    for place in places:
        for file in (place / last / "__init__.py", place / f"{last}.py"):
            if file in sources:
                return spec_from_file_location(name, file, loader=_Loader(name, str(file), sources))
    folders = [str(place / last) for place in places if any(place / last in file.parents for file in sources)]
    if not folders:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = folders
    return spec


_current: SiblingModules | None = None
_first, _last = _Finder(first=True), _Finder(first=False)


def use(beside: SiblingModules) -> None:
    """Let ``import`` find the modules beside a plugin, and no longer those beside another."""
    global _current
    last = _current
    if last is beside:
        return
    if last is not None:
        last.modules.update(_imported(last))
        _forget(last.modules)
    importlib.invalidate_caches()
    _current = beside
    if _last not in sys.meta_path:
        sys.meta_path[:] = [_first, *sys.meta_path, _last]
    _forget(_names(beside))
    sys.modules.update(beside.modules)


def show_lines(file: Path, source: bytes) -> None:
    """Let tracebacks, and who looks for the source of a class, see the lines that run, not those of a file by now."""
    with suppress(SyntaxError, UnicodeDecodeError):
        lines = decode_source(source).splitlines(keepends=True)
        linecache.cache[str(file)] = len(source), None, lines, str(file)


def unchanged(sources: Mapping[Path, bytes]) -> bool:
    """True if files hold what was read of them."""
    try:
        return all(path.is_file() and path.read_bytes() == source for path, source in sources.items())
    except OSError:
        return False


def read_plugin(file: Path) -> Plugin:
    """A plugin from its file, of which nothing is executed.

    Raises:
        PluginError: it cannot be read.
    """
    try:
        source = content(file)
        beside = named_sources(file, source)
    except OSError as error:
        raise PluginError(f"--plugin {file}: cannot be read: {error.strerror or error}") from error
    return Plugin(file, source, beside, source_hash(file, source, beside))


def named_sources(plugin: Path, source: bytes) -> Sources:
    """The files beside a plugin that its import statements name, and theirs, wherever in the code these stand."""
    sources: dict[Path, bytes] = {}
    waiting = [source]
    while waiting:
        for name in _names_in(waiting.pop()):
            new = {path: text for path, text in _read(_files(plugin.parent, name)).items() if path not in sources}
            sources |= new
            waiting += new.values()
    sources.pop(plugin, None)
    return sources


def _names_in(source: bytes) -> set[str]:
    """The packages and modules that a source imports; none if it is no Python."""
    tree = parsed(source)
    nodes = [] if tree is None else list(ast.walk(tree))
    full = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    full += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.partition(".")[0] for name in full}


def _files(folder: Path, name: str) -> Iterator[Path]:
    """The source files of a module or package, if that is what ``import`` finds beside the plugin."""
    module, package = folder / f"{name}.py", folder / name
    if name in PROGRAM_PACKAGES or not (module.is_file() or package.is_dir()):
        return
    installed = PathFinder.find_spec(name)
    if installed is not None and not _is_in(folder, name, installed.origin, installed.submodule_search_locations):
        return
    if package.is_dir() and ((package / "__init__.py").is_file() or not module.is_file()):
        yield from package.rglob("*.py")
    else:
        yield module


def _read(paths: Iterable[Path]) -> Sources:
    return {path: path.read_bytes() for path in sorted(paths) if path.is_file()}


def _is_in(folder: Path, name: str, file: str | None, package: Sequence[str] | None) -> bool:
    """True if a module's file, or its package's folder, lies directly in a folder."""
    places = [Path(place) for place in package or ([] if file is None else [file])]
    expected = {(folder / name).resolve(), (folder / f"{name}.py").resolve()}
    return any(place.resolve() in expected for place in places)


def _names(beside: SiblingModules) -> set[str]:
    """The packages and modules that sources are of."""
    return {path.relative_to(beside.folder).parts[0].removesuffix(".py") for path in beside.sources}


def _imported(beside: SiblingModules) -> dict[str, ModuleType]:
    """The modules beside a plugin that are imported."""
    tops = _names(beside)
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _Loader):
            tops.add(name)
    return {name: module for name, module in list(sys.modules.items()) if name.partition(".")[0] in tops}


def _forget(names: set[str] | Mapping[str, ModuleType]) -> None:
    """Let modules, and what is in them, be imported anew."""
    tops = {name.partition(".")[0] for name in names}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
