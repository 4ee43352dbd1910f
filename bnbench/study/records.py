"""Dataclasses from mappings read from YAML: every key known, every value of its type, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import content
from bnbench.schema.convert import WrongType, convert, shown
from bnbench.schema.fields import field_types
from bnbench.study.registry import MEASURES

SETTINGS = tuple[str, ...]
IMPLIED = ("name", "changes")
"""Fields that a file does not hold."""
Record = TypeVar("Record")


def load_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InvalidRequest: it cannot be read.
    """
    try:
        return yaml.safe_load(content(path).decode())
    except OSError as error:
        raise InvalidRequest([f"{path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidRequest([f"{path}: is not YAML that can be read: {' '.join(str(error).split())}"]) from error


def without(known: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a tree beside the fields that are known already; also those that it must not have."""
    return {key: value for key, value in tree.items() if key not in known or key in IMPLIED}


def read_measure(where: str, tree: Any, problems: list[str]) -> Any:
    """A name, or a name with options: ``{steps_to_target: {target: 0.95}}``."""
    name, options = next(iter(tree.items())) if isinstance(tree, dict) and len(tree) == 1 else (tree, {})
    if not isinstance(name, str) or name not in MEASURES:
        problems.append(f"{where}={shown(name)}: unknown measure; {nearest(str(name), list(MEASURES))}")
        return None
    return read_record(MEASURES[name], f"{where}.{name}", options, {}, problems)


def read_settings(part: str, tree: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Settings by name, as arms and cells have them."""
    return {str(name): checked(SETTINGS, f"{part}.{name}", value, problems) for name, value in tree.items()}


def read_mapping(key: str, tree: Mapping[str, Any], problems: list[str]) -> Mapping[Any, Any]:
    """The entry of a tree that must hold names with their content."""
    value = tree.get(key)
    if isinstance(value, dict) and value:
        return value
    problems.append(f"{key}: must be names with their content, such as {key}: {{name: ...}}")
    return {}


def read_record(
    kind: type[Record], where: str, tree: Any, known: Mapping[str, Any], problems: list[str]
) -> Record | None:
    """A dataclass from a mapping and from the fields that are ``known`` already; None if something is wrong."""
    prefix = f"{where}." if where else ""
    if not isinstance(tree, dict):
        problems.append(f"{where}: must hold {', '.join(keys_of(kind))}")
        return None
    before = len(problems)
    allowed = [key for key in keys_of(kind) if key not in IMPLIED or key not in known]
    problems += [f"{prefix}{shown(key)}: unknown; {nearest(str(key), allowed)}" for key in tree if key not in allowed]
    needed = [field.name for field in fields(cast(Any, kind)) if field.default is MISSING]
    problems += [f"{prefix}{key}: is missing" for key in needed if key not in tree and key not in known]
    types = field_types(cast(type, kind))
    values = {
        key: checked(types[key], f"{prefix}{key}", value, problems) for key, value in tree.items() if key in allowed
    }
    return kind(**values, **known) if len(problems) == before else None


def keys_of(kind: type) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in fields(cast(Any, kind))]


def checked(annotation: Any, where: str, value: Any, problems: list[str]) -> Any:
    """A value of a type; None, and a problem, if it has another one."""
    try:
        return convert(annotation, value)
    except WrongType as mismatch:
        problems.append(f"{where}={shown(value)}: {mismatch}")
        return None
