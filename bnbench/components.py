"""The components a run can be built from: the built-in norms, models and datasets, and those of a plugin file.

A plugin is a Python file that defines ``NORMS``, ``MODELS`` and/or ``DATASETS`` (dicts from a name to a class or
function, as the built-in registries). It is the only code that is ever executed on a user's behalf.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import nn

from bnbench.data import DATASETS, Data, load
from bnbench.errors import PluginError
from bnbench.models import MODELS, build
from bnbench.norms import NORMS
from bnbench.spec import RunSpec

Registry = Mapping[str, Callable[..., Any]]
BUILT_IN: dict[str, Registry] = {"norm": NORMS, "model": MODELS, "dataset": DATASETS}


@dataclass(frozen=True, eq=False)
class Components:
    """Registries by group (norm, model, dataset), and what is built from them.

    Attributes:
        added: by group, the names that come from a plugin.
        source_hash: SHA-256 of the plugin's source, or None without a plugin.
    """

    registries: Mapping[str, Registry]
    added: Mapping[str, frozenset[str]]
    source_hash: str | None = None

    def uses_plugin(self, **names: str) -> bool:
        """Whether one of the named components (``norm="mine"``) comes from the plugin."""
        return any(name in self.added.get(group, ()) for group, name in names.items())

    def load(self, spec: RunSpec, root: Path) -> Data:
        """The data of a spec, from the data folder ``root``; on the CPU."""
        return load(spec.dataset, spec.split, root, self.registries["dataset"])

    def build(self, spec: RunSpec, data: Data) -> nn.Module:
        """The initialized network of a spec, on torch's default device."""
        norm = partial(self.registries["norm"][spec.norm.name], **spec.norm.options)
        return build(spec.model, norm, data.shape, data.classes, spec.seed, self.registries["model"])


@cache
def components(plugin: Path | None = None) -> Components:
    """The built-in components and, if given, those of a plugin file.

    Raises:
        PluginError: the file cannot be read, raises, defines nothing, or takes a built-in name.
    """
    if plugin is None:
        return Components(BUILT_IN, {})
    module, source = _execute(plugin)
    added: dict[str, Registry] = {}
    for group, built_in in BUILT_IN.items():
        registry = getattr(module, f"{group.upper()}S", {})
        _check_registry(plugin, f"{group.upper()}S", registry, built_in)
        added[group] = registry
    if not any(added.values()):
        needs = "the file must define NORMS, MODELS or DATASETS, for example NORMS = {'mine': Mine}"
        raise PluginError(f"--plugin {plugin}: {needs}")
    return Components(
        registries={group: {**built_in, **added[group]} for group, built_in in BUILT_IN.items()},
        added={group: frozenset(registry) for group, registry in added.items()},
        source_hash=hashlib.sha256(source).hexdigest(),
    )


def _execute(plugin: Path) -> tuple[Any, bytes]:
    try:
        source = plugin.read_bytes()
    except OSError as error:
        raise PluginError(f"--plugin {plugin}: cannot be read: {error.strerror or error}") from error
    name = f"bnbench_plugin_{hashlib.sha256(source).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, plugin)
    if specification is None or specification.loader is None:
        raise PluginError(f"--plugin {plugin}: must be a Python file ending in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        message = f"--plugin {plugin} raised {type(error).__name__}: {error}{_own_line(plugin, error)}"
        raise PluginError(message) from error
    return module, source


def _own_line(plugin: Path, error: Exception) -> str:
    """The plugin's own line in a traceback: a user wants that one, not ours."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"\n  {plugin}:{error.lineno}: {(error.text or '').strip()}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == plugin]
    return f"\n  {plugin}:{own[-1].lineno}: {own[-1].line}" if own else ""


def _check_registry(plugin: Path, name: str, registry: Any, built_in: Registry) -> None:
    valid = isinstance(registry, dict) and all(
        isinstance(key, str) and callable(item) for key, item in registry.items()
    )
    if not valid:
        raise PluginError(f"--plugin {plugin}: {name} must be a dict from a name to a class or function")
    taken = sorted(set(registry) & set(built_in))
    if taken:
        raise PluginError(f"--plugin {plugin}: {name} uses the built-in name {taken[0]!r}; choose another name")
