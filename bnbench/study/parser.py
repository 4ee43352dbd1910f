"""A study from its YAML file: every key known, every value of its type, all problems at once."""

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
from bnbench.study.checks import study_problems
from bnbench.study.definition import ONLY_CELL, Scale, ScaleName, Study, StudyClaim
from bnbench.study.registry import MEASURES

SETTINGS = tuple[str, ...]
IMPLIED = ("name", "changes")
"""Fields of a study that its file does not hold."""
Record = TypeVar("Record")


def read_study(path: Path) -> Study:
    """The study in a file; it goes by the file's name.

    Raises:
        InvalidRequest: listing all that is wrong with the file.
    """
    problems: list[str] = []
    study = _study(path.stem, _load(path), problems)
    if study is not None and not problems:
        problems += study_problems(study)
    if problems or study is None:
        raise InvalidRequest(f"{path}: {problem}" for problem in problems)
    return study


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(content(path).decode())
    except OSError as error:
        raise InvalidRequest([f"{path}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidRequest([f"{path}: is not YAML that can be read: {' '.join(str(error).split())}"]) from error


def _study(name: str, tree: Any, problems: list[str]) -> Study | None:
    if not isinstance(tree, dict):
        problems.append(f"must hold {', '.join(_keys(Study))}")
        return None
    tree = {"cells": {ONLY_CELL: []}, "fixed": [], **tree}
    claims = {key: _claim(key, value, problems) for key, value in _mapping("claims", tree, problems).items()}
    scales = {
        _checked(ScaleName, f"scales.{key}", key, problems): _record(Scale, f"scales.{key}", value, {}, problems)
        for key, value in _mapping("scales", tree, problems).items()
    }
    known = {
        "name": name,
        "changes": (),
        "claims": tuple(claims.values()),
        "scales": scales,
        **{part: _settings(part, _mapping(part, tree, problems), problems) for part in ("arms", "cells")},
    }
    return _record(Study, "", _without(known, tree), known, problems)


def _claim(name: Any, tree: Any, problems: list[str]) -> StudyClaim | None:
    where = f"claims.{name}"
    if not isinstance(tree, dict):
        problems.append(f"{where}: must hold {', '.join(_keys(StudyClaim))}")
        return None
    known = {"name": str(name)}
    if "measure" in tree:
        known["measure"] = _measure(f"{where}.measure", tree["measure"], problems)
    return _record(StudyClaim, where, _without(known, tree), known, problems)


def _without(known: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a tree beside the fields that are known already; also those that it must not have."""
    return {key: value for key, value in tree.items() if key not in known or key in IMPLIED}


def _measure(where: str, tree: Any, problems: list[str]) -> Any:
    """A name, or a name with options: ``{steps_to_target: {target: 0.95}}``."""
    name, options = next(iter(tree.items())) if isinstance(tree, dict) and len(tree) == 1 else (tree, {})
    if not isinstance(name, str) or name not in MEASURES:
        problems.append(f"{where}={shown(name)}: unknown measure; {nearest(str(name), list(MEASURES))}")
        return None
    return _record(MEASURES[name], f"{where}.{name}", options, {}, problems)


def _settings(part: str, tree: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    return {str(name): _checked(SETTINGS, f"{part}.{name}", value, problems) for name, value in tree.items()}


def _mapping(key: str, tree: Mapping[str, Any], problems: list[str]) -> Mapping[Any, Any]:
    value = tree.get(key)
    if isinstance(value, dict) and value:
        return value
    problems.append(f"{key}: must be names with their content, such as {key}: {{name: ...}}")
    return {}


def _record(kind: type[Record], where: str, tree: Any, known: Mapping[str, Any], problems: list[str]) -> Record | None:
    """A dataclass from a mapping and from the fields that are ``known`` already; None if something is wrong."""
    prefix = f"{where}." if where else ""
    if not isinstance(tree, dict):
        problems.append(f"{where}: must hold {', '.join(_keys(kind))}")
        return None
    before = len(problems)
    allowed = [key for key in _keys(kind) if key not in IMPLIED or key not in known]
    problems += [f"{prefix}{shown(key)}: unknown; {nearest(str(key), allowed)}" for key in tree if key not in allowed]
    needed = [field.name for field in fields(cast(Any, kind)) if field.default is MISSING]
    problems += [f"{prefix}{key}: is missing" for key in needed if key not in tree and key not in known]
    types = field_types(cast(type, kind))
    values = {
        key: _checked(types[key], f"{prefix}{key}", value, problems) for key, value in tree.items() if key in allowed
    }
    return kind(**values, **known) if len(problems) == before else None


def _keys(kind: type) -> list[str]:
    return [field.name for field in fields(cast(Any, kind))]


def _checked(annotation: Any, where: str, value: Any, problems: list[str]) -> Any:
    try:
        return convert(annotation, value)
    except WrongType as mismatch:
        problems.append(f"{where}={shown(value)}: {mismatch}")
        return None
