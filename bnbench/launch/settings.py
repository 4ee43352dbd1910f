"""The settings of launchers: defaults from conf/launcher, and what a command says in place of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import conf_dir

PREFIX = "launcher."
"""Begins each of them on the command line: ``launcher.partition=gpu``."""
NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "null"}


@dataclass(frozen=True)
class Settings:
    """The settings of a launcher; a class of its own has a field for each of them."""


def divided(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The settings of runs, and those of the launcher."""
    place = [word for word in words if word.startswith(PREFIX)]
    return [word for word in words if word not in place], place


S = TypeVar("S", bound=Settings)


def read_settings(name: str, kind: type[S], words: Sequence[str] = ()) -> S:
    """The settings of a launcher.

    Args:
        name: of the launcher, and of its file in ``conf/launcher``.
        words: ``launcher.key=value``, with values as in YAML.

    Raises:
        InvalidRequest: listing the keys that there are not, and the values that cannot be.
    """
    defaults = yaml.safe_load((conf_dir() / "launcher" / f"{name}.yaml").read_text(encoding="utf-8"))
    values, problems = dict(defaults), []
    for word in words:
        key, equals, text = word.removeprefix(PREFIX).partition("=")
        if not equals:
            problems.append(f"{word}: must be {PREFIX}KEY=VALUE")
        elif key not in defaults:
            problems.append(f"{PREFIX}{key}: unknown setting of --launcher {name}; {nearest(key, list(defaults))}")
        else:
            values[key], problem = _parsed(kind, key, text)
            problems += problem
    if problems:
        raise InvalidRequest(problems)
    return kind(**values)


def described_settings(name: str) -> Mapping[str, Any]:
    """The settings of a launcher with their defaults."""
    file = conf_dir() / "launcher" / f"{name}.yaml"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _parsed(kind: type[Settings], key: str, text: str) -> tuple[Any, list[str]]:
    """A value as its field has it, and the problem if it cannot be."""
    hint = get_type_hints(kind)[key]
    allowed = get_args(hint) or (hint,)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if value is None and NoneType in allowed:
        return None, []
    if str in allowed:
        return text, []
    if type(value) is int and float in allowed:
        value = float(value)
    if type(value) in allowed:
        (field,) = (field for field in fields(kind) if field.name == key)
        least, most = field.metadata.get("least", -math.inf), field.metadata.get("divides_at_most", math.inf)
        if not math.isfinite(value):
            return value, [f"{PREFIX}{key}={text}: must be finite"]
        if value < least:
            return value, [f"{PREFIX}{key}={text}: must be at least {least}"]
        if value > most and not float(value).is_integer():
            return value, [f"{PREFIX}{key}={text}: must be at most {most}, or a whole number"]
        return value, []
    return value, [f"{PREFIX}{key}={text}: must be {' or '.join(NAMES[one] for one in allowed)}"]
