"""The sweep grammar: Hydra's own parser turns ``lr=0.1,1 seed=range(3) norm=glob(*)`` into settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString, RangeSweep, ValueType
from hydra.errors import HydraException

from bnbench.config import slips
from bnbench.config.compose import GROUPS
from bnbench.schema.convert import shown

LIMIT = 100_000
"""The most cells that a sweep, and values that a factor, may have."""

DEEPEST = 8
"""Lists inside each other that a value may have; no option takes more than one."""

Choices = Callable[[str], Sequence[str] | None]
"""The names that a config group offers, or None for a key that is no group."""


UNREADABLE = (HydraException, ValueError, ArithmeticError, RecursionError)
"""The errors of Hydra's parser at a text that is no override."""


class Wrong(Exception):
    """An override cannot be used; the message completes "'text': "."""


@dataclass(frozen=True)
class Setting:
    """One key and the values it takes, in order.

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
    for text in slips.joined(list(texts), problems):
        try:
            settings.append(_setting(parser.parse_override(text), choices))
        except Wrong as wrong:
            problems.append(f"{_quoted(text)}: {wrong}")
        except UNREADABLE as error:
            reason = f"{str(error) or type(error).__name__}\n".splitlines()[0].split(" expecting ")[0]
            usage = "key=value, key=value1,value2 or 'key=range(3)', with quotes around unusual characters"
            slip = slips.repaired(text, partial(_group_of, choices=choices), partial(_readable, parser, choices))
            problems.append(f"{_quoted(text)} is not an override: {slip or f'{_shortened(reason)}. Write {usage}'}")
    return settings


def _readable(parser: OverridesParser, choices: Choices, text: str) -> bool:
    try:
        _setting(parser.parse_override(text), choices)
    except (Wrong, *UNREADABLE):
        return False
    return True


def _group_of(name: str, choices: Choices) -> str | None:
    return next((group for group in GROUPS if name in (choices(group) or ())), None)


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


def _setting(override: Override, choices: Choices) -> Setting:
    key = checked_key(override)
    if override.is_delete():
        if choices(key) is not None or override.value() not in (None, ""):
            raise Wrong(f"~ cannot take it away; write {key}=value")
        return Setting(key, (None,), swept=False)
    if override.is_sweep_override():
        values = _sweep_values(override, choices)
    else:
        values = [override.value()]
    values = [_plain(value) for value in values]
    if not values:
        raise Wrong("an empty sweep, no value is left")
    if len(values) > LIMIT:
        raise Wrong(f"more than {LIMIT:,} values")
    return Setting(key, tuple(values), override.is_sweep_override())


def checked_key(override: Override) -> str:
    """The key of an override. Raises :class:`Wrong` for one that cannot be used."""
    key: str = override.key_or_group
    if not key:
        raise Wrong("no key before the =")
    if override.package is not None:
        raise Wrong(f"packages (@) are not used here; write {key}=value")
    return key


def _sweep_values(override: Override, choices: Choices) -> list[Any]:
    if override.value_type is ValueType.INTERVAL_SWEEP:
        raise Wrong("an interval has no values to go through; write a,b or a range, or bnbench sweep --search tpe")
    value: Any = override.value()
    if isinstance(value, Glob):
        names = choices(override.key_or_group)
        if names is None:
            raise Wrong("glob() needs a config group such as norm or model")
        matches = value.filter(list(names))
        if not matches:
            raise Wrong(f"an empty sweep, no name matches. Allowed: {', '.join(names)}")
        return matches
    if isinstance(value, RangeSweep):
        _check_range(value)
    return list(islice(override.sweep_iterator(), LIMIT + 1))


def _check_range(sweep: RangeSweep) -> None:
    """Refuse endless ranges, and step in decimals: range(0.1,0.4,0.1) is 0.1, 0.2, 0.3."""
    start, stop, step = (Decimal(str(value)) for value in (sweep.start, sweep.stop, sweep.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite()) or step == 0:
        raise Wrong("a range needs finite numbers and a step other than 0")
    if (stop - start) / step > LIMIT:
        raise Wrong(f"more than {LIMIT:,} values")
    if any(isinstance(value, float) for value in (sweep.start, sweep.stop, sweep.step)):
        sweep.start, sweep.stop, sweep.step = start, stop, step  # type: ignore[assignment]


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise Wrong(f"lists inside lists, more than {DEEPEST} deep; no setting takes these")
    if isinstance(value, QuotedString):
        return _plain(value.text)
    if isinstance(value, str) and "${" in value:
        raise Wrong("${...} is not looked up here; write the value itself")
    if isinstance(value, dict):
        raise Wrong("groups of values {...} are not used here; set each key by itself, as in split.seed=1")
    return [_plain(item, depth + 1) for item in value] if isinstance(value, list) else value


def _quoted(text: str) -> str:
    return _shortened(repr(text))


def _shortened(text: str) -> str:
    return shown(text)
