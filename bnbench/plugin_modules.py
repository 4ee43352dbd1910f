"""The modules beside a plugin's file, which it may import and which are part of its source.

Nothing that is installed is hidden by them: they are looked for last.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

KNOWN = sys.stdlib_module_names | {"bnbench", "torch", "torchvision", "__main__"}
"""Packages whose code is not a user's."""

Sources = Mapping[Path, bytes]


@dataclass(frozen=True, eq=False)
class Beside:
    """The modules beside a plugin that it has imported.

    Attributes:
        folder: of the plugin.
        sources: by file.
        modules: by name, those that are imported.
    """

    folder: Path
    sources: Sources
    modules: dict[str, ModuleType] = field(default_factory=dict)


class _Loader(SourceFileLoader):
    """Runs the bytes that were hashed; bytecode could be older, and would be left beside the source."""

    def __init__(self, name: str, path: str, sources: Sources) -> None:
        super().__init__(name, path)
        self._sources = sources

    def get_data(self, path: str) -> bytes:
        """The source of the module."""
        known = self._sources.get(Path(path))
        return super().get_data(path) if known is None else known

    def path_stats(self, path: str) -> Mapping[str, float]:
        """None: without the time of a change there is no bytecode."""
        raise OSError("bytecode is not wanted")


class _Finder:
    """Finds modules beside the plugin that is in use.

    Args:
        within: find those within packages, as the first of Python's finders; else those that are not, as the last one.
    """

    def __init__(self, within: bool) -> None:
        self._within = within

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, if it is beside the plugin."""
        if _current is None or self._within is (path is None):
            return None
        package = _current.folder / name.partition(".")[0]
        if path is not None and not any(Path(place).is_relative_to(package) for place in path):
            return None
        spec = PathFinder.find_spec(name, [str(_current.folder)] if path is None else path)
        if spec is not None and spec.origin is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.origin, _current.sources)
        return spec


_current: Beside | None = None
_first, _last = _Finder(within=True), _Finder(within=False)


def use(beside: Beside) -> None:
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


def imported_sources(beside: Beside) -> Sources:
    """The sources of all modules beside the plugin in use that are known: those named in it, and those imported."""
    beside.modules.update(_imported(beside))
    files = (getattr(module, "__file__", None) for module in beside.modules.values())
    return {**_read(Path(file) for file in files if file is not None and file.endswith(".py")), **beside.sources}


def named_sources(plugin: Path, source: bytes) -> Sources:
    """The files beside a plugin that its import statements name, and theirs, wherever in the code these stand."""
    found: dict[Path, bytes] = {}
    waiting = [source]
    while waiting:
        for name in _names_in(waiting.pop()):
            new = {path: text for path, text in _read(_files(plugin.parent, name)).items() if path not in found}
            found |= new
            waiting += new.values()
    found.pop(plugin, None)
    return found


def _names_in(source: bytes) -> set[str]:
    """The packages and modules that a source imports; none if it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return set()
    full = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    full += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.partition(".")[0] for name in full}


def _files(folder: Path, name: str) -> Iterator[Path]:
    """The source files of a module or package, if that is what ``import`` finds beside the plugin."""
    module, package = folder / f"{name}.py", folder / name
    if name in KNOWN or not (module.is_file() or package.is_dir()):
        return
    installed = PathFinder.find_spec(name)
    if installed is not None and not _is_in(folder, name, installed.origin, installed.submodule_search_locations):
        return
    if package.is_dir() and ((package / "__init__.py").is_file() or not module.is_file()):
        yield from package.rglob("*.py")
    else:
        yield module


def _read(paths: Iterator[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(paths) if path.is_file()}


def _is_in(folder: Path, name: str, file: str | None, package: Sequence[str] | None) -> bool:
    """Whether a module's file, or its package's folder, lies directly in a folder."""
    places = [Path(place) for place in package or ([] if file is None else [file])]
    expected = {(folder / name).resolve(), (folder / f"{name}.py").resolve()}
    return any(place.resolve() in expected for place in places)


def _names(beside: Beside) -> set[str]:
    """The packages and modules that sources are of."""
    return {path.relative_to(beside.folder).parts[0].removesuffix(".py") for path in beside.sources}


def _imported(beside: Beside) -> dict[str, ModuleType]:
    """What is imported of the modules beside a plugin."""
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
