"""The sweep grammar: Hydra's own parser turns ``lr=0.1,1 seed=range(3) norm=glob(*)`` into factors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString, ValueType
from hydra.errors import HydraException

Choices = Callable[[str], Sequence[str] | None]
"""The names that a config group offers, or None for a key that is no group."""


@dataclass(frozen=True)
class Setting:
    """One key and the values it takes, in order; more than one value makes it a factor.

    Attributes:
        swept: whether the user wrote a sweep (also one with a single value).
    """

    key: str
    values: tuple[Any, ...]
    swept: bool


def parse(texts: Iterable[str], choices: Choices, problems: list[str]) -> list[Setting]:
    """Parse overrides; what is wrong is added to ``problems``, and the rest is returned."""
    parser = OverridesParser.create()
    settings = []
    for text in texts:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            reason = str(error).splitlines()[0]
            problems.append(
                f"{text!r} is not an override: {reason}. Write key=value, key=value1,value2 or key=range(3)"
            )
            continue
        setting = _setting(override, text, choices, problems)
        if setting is not None:
            settings.append(setting)
    return settings


def split(text: str) -> list[str]:
    """Split at blanks that are not inside quotes or brackets: ``"a=1,2 b=choice(3, 4)"`` has two parts."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character.isspace() and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    return [part for part in parts if part]


def _setting(override: Override, text: str, choices: Choices, problems: list[str]) -> Setting | None:
    key = override.key_or_group
    if override.package is not None:
        problems.append(f"{text!r}: packages (@) are not used here; write {key}=value")
        return None
    if override.is_delete():
        return Setting(key, (None,), swept=False)
    if not override.is_sweep_override():
        return Setting(key, (_plain(override.value()),), swept=False)
    values = _sweep_values(override, text, choices, problems)
    if values is None:
        return None
    if not values:
        problems.append(f"{text!r}: an empty sweep, no value is left")
        return None
    return Setting(key, tuple(dict.fromkeys(values)), swept=True)


def _sweep_values(override: Override, text: str, choices: Choices, problems: list[str]) -> list[Any] | None:
    if override.value_type is ValueType.INTERVAL_SWEEP:
        problems.append(f"{text!r}: an interval has no values to go through; write a choice or a range")
        return None
    value: Any = override.value()
    if isinstance(value, Glob):
        names = choices(override.key_or_group)
        if names is None:
            problems.append(f"{text!r}: glob() needs a config group such as norm or model")
            return None
        return list(value.filter(list(names)))
    return [_hashable(_plain(item)) for item in override.sweep_iterator()]


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
