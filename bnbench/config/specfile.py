"""A spec as a YAML file, and back: ``bnbench run --from results/demo/specs/<run_id>.yaml`` repeats a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bnbench.config.build import make_part
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.keys import NESTED
from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import content
from bnbench.schema import Parts
from bnbench.schema.convert import WrongType, convert, shown
from bnbench.schema.fields import field_types
from bnbench.spec import LATER, RunSpec, check


def read_spec(path: Path, parts: Parts) -> RunSpec:
    """The spec in a file that the store wrote.

    Raises:
        InvalidRequest: the file is not a complete spec, or was made with a plugin that is not given or has changed.
        PluginError: a component of the plugin cannot be used.
    """
    tree = _read(path)
    tree = {"data": None, **LATER, **tree} if isinstance(tree, dict) else tree  # as earlier versions wrote them
    problems = _key_problems("", tree, field_types(RunSpec)) or _plugin_problems(tree["plugin"], parts)
    if not problems:
        composer = Composer(parts)
        values = {key: _value(key, tree[key], composer, problems) for key in field_types(RunSpec)}
    if not problems:
        spec = RunSpec(**values)
        problems = check(spec)
        if spec.plugin is None and parts.uses_plugin(
            norm=spec.norm.name, model=spec.model.name, dataset=spec.dataset.name
        ):
            problems.append(
                "plugin=null: must be the hash of the plugin that the run uses; take a file of specs/ as it was written"
            )
    if problems:
        raise InvalidRequest(f"--from {path}: {problem}" for problem in problems)
    return spec


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(content(path).decode())
    except OSError as error:
        raise InvalidRequest([f"--from {path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InvalidRequest([f"--from {path}: is not a YAML file that can be read: {reason}"]) from error


def _plugin_problems(source_hash: Any, parts: Parts) -> list[str]:
    if source_hash is not None and parts.source_hash is None:
        return ["this run used a plugin; name its file with --plugin FILE"]
    if source_hash is not None and source_hash != parts.source_hash:
        return ["the plugin has changed since this run, so it would be another run; give the file as it was"]
    return []


def _key_problems(prefix: str, tree: Any, expected: Mapping[str, Any]) -> list[str]:
    """The keys that are missing or unknown under a key; ``prefix`` is empty at the top."""
    name = prefix.rstrip(".")
    if not isinstance(tree, dict):
        return [f"{name or 'it'} must hold {', '.join(expected) or 'nothing, {}'}"]
    unknown = [
        f"{prefix}{shown(key)}: unknown; {nearest(str(key), [*expected])}" for key in tree if key not in expected
    ]
    return unknown + [f"{prefix}{key}: is missing; a spec names every key" for key in expected if key not in tree]


def _value(key: str, value: Any, composer: Composer, problems: list[str]) -> Any:
    if key not in GROUPS and key not in NESTED:
        return _convert(key, field_types(RunSpec)[key], value, problems)
    name = None
    if key in GROUPS:
        if not isinstance(value, dict) or len(value) != 1:
            problems.append(f"{key}: must be one choice with its options, as in {key}: {{name: {{option: value}}}}")
            return None
        ((name, value),) = value.items()
        names = composer.names(key) or []
        if name not in names:
            problems.append(f"{key}={shown(name)}: unknown {key}; {nearest(str(name), names)}")
            return None
    types = field_types(NESTED[key]) if name is None else composer.types(key, name)
    wrong = _key_problems(f"{key}.", value, types)
    if wrong:
        problems.extend(wrong)
        return None
    converted = {option: _convert(f"{key}.{option}", types[option], value[option], problems) for option in types}
    return None if problems else make_part(key, name, converted)


def _convert(key: str, annotation: Any, value: Any, problems: list[str]) -> Any:
    try:
        return convert(annotation, value)
    except WrongType as mismatch:
        problems.append(f"{key}={shown(value)}: {mismatch}")
        return None
