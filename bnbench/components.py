"""The components a run can be built from: the built-in norms, models and datasets, and those of a plugin file.

A plugin is a Python file that defines ``NORMS``, ``MODELS`` and/or ``DATASETS`` (dicts from a name to a class or
function, as the built-in registries). It is the only code that is ever executed on a user's behalf.
"""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from torch import nn

from bnbench.data import DATASETS, Data, load
from bnbench.errors import BnbenchError, PluginError
from bnbench.global_state import preserved_global_state, seeded_generators
from bnbench.models import MODELS, build
from bnbench.norms import NORMS
from bnbench.plugin_modules import KNOWN, Beside, Sources, imported_sources, named_sources, use
from bnbench.spec import RunSpec, stream

Registry = Mapping[str, Callable[..., Any]]
_NAME = re.compile(
    r"(?!(null|none|na|nan|inf|infinity|true|false|yes|no|on|off|y|n)$)[a-z][a-z0-9_]*", re.ASCII | re.IGNORECASE
)
"""Names that need no quotes on the command line, and are read as names from YAML and tables."""
_NOT = "and no word that is read as nothing, a truth value or a number (none, na, null, yes, inf, ...)"

BUILT_IN: dict[str, Registry] = {"norm": NORMS, "model": MODELS, "dataset": DATASETS}


@dataclass(frozen=True, eq=False)
class Components:
    """Registries by group (norm, model, dataset), and what is built from them.

    Attributes:
        added: by group, the names that come from a plugin.
        source_hash: SHA-256 of the plugin's source and of what it imports from its folder, or None without a plugin.
    """

    registries: Mapping[str, Registry]
    added: Mapping[str, frozenset[str]]
    source_hash: str | None = None

    def uses_plugin(self, **names: str) -> bool:
        """Whether one of the named components (``norm="mine"``) comes from the plugin."""
        return any(name in self.added.get(group, ()) for group, name in names.items())

    def load(self, spec: RunSpec, root: Path) -> Data:
        """The data of a spec from the data folder ``root``, the same for all seeds also if random; on the CPU.

        Raises:
            BnbenchError: there is no such data, or it cannot be used.
        """
        if not self.uses_plugin(dataset=spec.dataset.name):
            return self._load(spec, root)
        try:
            with preserved_global_state(), seeded_generators(stream(0, "dataset", spec.dataset.name)):
                return self._load(spec, root)
        except (BnbenchError, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"dataset={spec.dataset.name} raised {type(error).__name__}: {error}{foreign_line(error)}"
            raise PluginError(message) from error

    def _load(self, spec: RunSpec, root: Path) -> Data:
        return load(spec.dataset, spec.split, root, self.registries["dataset"], spec.domains, spec.data)

    def build(self, spec: RunSpec, data: Data) -> nn.Module:
        """The initialized network of a spec, on torch's default device."""
        norm: Callable[[int], nn.Module] = partial(self.registries["norm"][spec.norm.name], **spec.norm.options)
        if self.uses_plugin(norm=spec.norm.name):
            norm = preserved_global_state()(norm)
        with preserved_global_state() if self.uses_plugin(model=spec.model.name) else nullcontext():
            return build(spec.model, norm, data.shape, data.classes, spec.seed, self.registries["model"], spec.train)


def components(plugin: Path | None = None, anew: bool = False) -> Components:
    """The built-in components and, if given, those of a plugin file.

    The file and what it imports from its folder are read at each call and executed again only if they have changed.

    Args:
        anew: execute them in any case, so that globals and class attributes are as at the start.

    Raises:
        PluginError: the file cannot be read, raises, defines nothing, or takes a built-in name.
    """
    if plugin is None:
        return Components(BUILT_IN, {})
    plugin = plugin.expanduser().absolute()
    try:
        known = _known.get(plugin)
        if anew or known is None or not known.is_current():
            source = plugin.read_bytes()
            known = _known[plugin] = _load(plugin, source, Beside(plugin.parent, named_sources(plugin, source)))
    except OSError as error:
        raise PluginError(f"--plugin {plugin}: cannot be read: {error.strerror or error}") from error
    use(known.beside)
    return known.components


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A plugin that was executed, and the sources that it then had."""

    components: Components
    beside: Beside
    sources: Sources

    def is_current(self) -> bool:
        return all(path.is_file() and path.read_bytes() == source for path, source in self.sources.items())


_known: dict[Path, _Loaded] = {}


def _load(plugin: Path, source: bytes, beside: Beside) -> _Loaded:
    use(beside)
    module = _execute(plugin, source, f"bnbench_plugin_{_digest(source, beside)[:12]}", beside)
    added = {group: getattr(module, f"{group.upper()}S", {}) for group in BUILT_IN}
    for group, registry in added.items():
        _check_registry(f"--plugin {plugin}: {group.upper()}S", registry, BUILT_IN[group])
    if not any(added.values()):
        needs = "the file must define NORMS, MODELS or DATASETS, for example NORMS = {'mine': Mine}"
        raise PluginError(f"--plugin {plugin}: {needs}")
    parts = Components(
        registries={group: {**built_in, **added[group]} for group, built_in in BUILT_IN.items()},
        added={group: frozenset(registry) for group, registry in added.items()},
        source_hash=_digest(source, beside),
    )
    return _Loaded(parts, beside, {plugin: source, **imported_sources(beside)})


def _digest(source: bytes, beside: Beside) -> str:
    """SHA-256 of a plugin's source and, if it imports any, of the modules beside it."""
    digest = hashlib.sha256(source)
    for path, helper in sorted(imported_sources(beside).items()):
        digest.update(f"\0{path.relative_to(beside.folder).as_posix()}\0{len(helper)}\0".encode())
        digest.update(helper)
    return digest.hexdigest()


def _execute(plugin: Path, source: bytes, name: str, beside: Beside) -> ModuleType:
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
        line = _own_line({str(plugin), *map(str, beside.sources)}, error)
        raise PluginError(f"--plugin {plugin} raised {type(error).__name__}: {error}{line}") from error
    return module


def _own_line(files: Collection[str], error: BaseException) -> str:
    """The plugin's own line in a traceback: a user wants that one, not ours."""
    if isinstance(error, SyntaxError) and error.filename in files and error.lineno is not None:
        return f"\n  {error.filename}:{error.lineno}: {(error.text or '').strip()}"
    return _line(frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files)


def is_foreign(error: BaseException) -> bool:
    """Whether a user's code was running when an error was raised, and not only ours and torch's."""
    return any(_is_foreign(frame) for frame, _ in traceback.walk_tb(error.__traceback__))


def foreign_line(error: BaseException) -> str:
    """The last line of a user's code in a traceback."""
    own = ((frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_foreign(frame))
    return _line(traceback.StackSummary.extract(own))


def _is_foreign(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] not in KNOWN


def _line(frames: Iterable[traceback.FrameSummary]) -> str:
    last = deque(frames, maxlen=1)
    return "".join(f"\n  {frame.filename}:{frame.lineno}: {frame.line}" for frame in last)


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
