"""A spec as a YAML file, and back: ``bnbench run --from results/demo/specs/<run_id>.yaml`` repeats a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bnbench.components import Components
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.fields import Mismatch, convert, option_types
from bnbench.config.request import NESTED, make_part
from bnbench.errors import InvalidRequest, nearest
from bnbench.spec import RunSpec, check


def read_spec(path: Path, components: Components) -> RunSpec:
    """The spec in a file that the store wrote.

    Raises:
        InvalidRequest: the file is not a complete spec, or was made with a plugin that is not given or has changed.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest([f"--from {path}: cannot be read: {str(error).splitlines()[0]}"]) from error
    expected = list(option_types(RunSpec))
    if not isinstance(tree, dict) or set(tree) != set(expected):
        keys = set(tree) if isinstance(tree, dict) else set()
        wrong = ", ".join(sorted(keys ^ set(expected), key=str))
        raise InvalidRequest([f"--from {path}: not a run spec; missing or unknown: {wrong}"])
    _check_plugin(path, tree["plugin"], components)
    problems: list[str] = []
    composer = Composer(components)
    values = {key: _value(key, tree[key], composer, problems) for key in expected}
    if not problems:
        problems = check(RunSpec(**values))
    if problems:
        raise InvalidRequest(f"--from {path}: {problem}" for problem in problems)
    return RunSpec(**values)


def _check_plugin(path: Path, wanted: str | None, components: Components) -> None:
    if wanted is not None and components.source_hash is None:
        raise InvalidRequest([f"--from {path}: this run used a plugin; name its file with --plugin FILE"])
    if wanted is not None and wanted != components.source_hash:
        raise InvalidRequest(
            [f"--from {path}: the plugin has changed since this run; its number would be another run's"]
        )


def _value(key: str, value: Any, composer: Composer, problems: list[str]) -> Any:
    if key not in GROUPS and key not in NESTED:
        return _convert(key, option_types(RunSpec)[key], value, problems)
    name = None
    if key in GROUPS:
        if not isinstance(value, dict) or len(value) != 1:
            problems.append(f"{key}: must be one choice with its options, as in {key}: {{name: {{option: value}}}}")
            return None
        ((name, value),) = value.items()
        if name not in (composer.names(key) or []):
            problems.append(f"{key}={name}: unknown {key}; {nearest(str(name), composer.names(key) or [])}")
            return None
    types: Mapping[str, Any] = option_types(NESTED[key]) if name is None else composer.types(key, name)
    if not isinstance(value, dict) or set(value) != set(types):
        problems.append(f"{key}: must hold exactly these options: {', '.join(types)}")
        return None
    converted = {option: _convert(f"{key}.{option}", types[option], value[option], problems) for option in types}
    return None if problems else make_part(key, name, converted)


def _convert(key: str, annotation: Any, value: Any, problems: list[str]) -> Any:
    try:
        return convert(annotation, value)
    except Mismatch as mismatch:
        problems.append(f"{key}={value}: {mismatch}")
        return None
