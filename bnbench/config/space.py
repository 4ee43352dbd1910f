"""Search spaces: settings whose values a search chooses, as ``lr=interval(0.001,1)`` or ``model.depth=choice(2,4)``."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Sweep, ValueType

from bnbench.config.compose import GROUPS, Composer
from bnbench.config.grammar import UNREADABLE, Wrong, checked_key, parse
from bnbench.config.keys import NESTED, Arms
from bnbench.schema import Parts
from bnbench.schema.convert import shown
from bnbench.schema.fields import field_types
from bnbench.spec import RunSpec

Point = dict[str, Any]
"""A value for each key of a search space."""

SEEDS = ("seed", "split.seed")
"""Keys that are never searched: each trial is trained for all of their values."""

_SPACES = (ValueType.INTERVAL_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)


@dataclass(frozen=True)
class Interval:
    """All numbers between two, both included.

    Attributes:
        log: their logarithms are alike probable, not they themselves.
        whole: whole numbers alone.
    """

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        """The lowest and the highest number."""
        return self.low, self.high


@dataclass(frozen=True)
class Values:
    """Some values, at least one."""

    key: str
    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values


Space = Interval | Values


def read_spaces(overrides: Sequence[str], parts: Parts, problems: list[str]) -> tuple[tuple[Space, ...], list[str]]:
    """The search spaces among overrides, and the other overrides, which are settings and factors.

    Args:
        overrides: ``interval``, ``choice`` and ``range`` of a number make a space, but for seeds; ``a,b`` a factor.
        parts: what a plugin adds to the built-in components.
        problems: what is wrong with a space is added to them.
    """
    parser, composer = OverridesParser.create(), Composer(parts)
    read = [(text, _parsed(parser, text)) for text in overrides]
    rest = [text for text, override in read if override is None]
    arms = Arms(parse(rest, composer.names, []), composer)
    spaces = [
        space
        for text, override in read
        if override is not None and (space := _space(text, override, arms, composer, problems)) is not None
    ]
    keys = [space.key for space in spaces]
    twice = dict.fromkeys(key for key in keys if keys.count(key) > 1)
    problems += [f"{key} is set more than once; give it one space" for key in twice]
    return tuple(spaces), rest


def typed_point(point: Mapping[str, Any]) -> list[str]:
    """A point as overrides."""
    return [f"{key}={shown(value)}" for key, value in point.items()]


def _parsed(parser: OverridesParser, text: str) -> Override | None:
    """The override of a text that is a search space; None for another one, and for one that cannot be read."""
    try:
        override = parser.parse_override(text)
    except UNREADABLE:
        return None
    is_factor = override.key_or_group in SEEDS and override.value_type is not ValueType.INTERVAL_SWEEP
    return override if override.value_type in _SPACES and not is_factor else None


def _space(text: str, override: Override, arms: Arms, composer: Composer, problems: list[str]) -> Space | None:
    """The space of an override; None if it is none, and the reason is added to ``problems``."""
    key, sweep = override.key_or_group, override.value()
    assert isinstance(sweep, Sweep)
    kinds = _kinds(key, arms, composer)
    if (reason := _fault_of_key(override, kinds) or _fault(sweep, is_whole=float not in kinds)) is not None:
        problems.append(f"{shown(repr(text))}: {reason}")
        return None
    if isinstance(sweep, IntervalSweep):
        low, high, whole = float(sweep.start or 0), float(sweep.end or 0), float not in kinds
        return Interval(key, int(low) if whole else low, int(high) if whole else high, "log" in sweep.tags, whole)
    settings = parse([text], composer.names, problems)
    return Values(key, tuple(dict.fromkeys(settings[0].values))) if settings else None


def _fault_of_key(override: Override, kinds: set[Any]) -> str | None:
    """The reason why what an override names cannot be searched.

    Args:
        kinds: the types that its values may have.
    """
    try:
        key = checked_key(override)
    except Wrong as wrong:
        return str(wrong)
    if override.is_delete():
        return f"a space takes no ~; write {key}=interval(a,b)"
    if key == "device":
        return "no part of a run, and not searched; name one"
    if key in SEEDS:
        return f"a seed is not searched; write {key}=range(3), and each trial is trained for all of them"
    if not kinds & {int, float}:
        listed = ",".join(map(shown, getattr(override.value(), "list", ()))) or "a,b"
        return f"only numbers are searched; write {key}={listed}, and each trial is trained for all of them"
    return None


def _fault(sweep: Sweep, is_whole: bool) -> str | None:
    """The reason why values cannot be searched."""
    if unknown := sorted(sweep.tags - ({"log"} if isinstance(sweep, IntervalSweep) else set())):
        return f"no tag {shown(unknown[0])!r} here; allowed is tag(log,interval(a,b))"
    if getattr(sweep, "shuffle", False):
        return "shuffle draws by no seed, and trials are drawn by --search-seed; leave it out"
    if not isinstance(sweep, IntervalSweep):
        return None
    low, high = float(sweep.start or 0), float(sweep.end or 0)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return "an interval needs two finite numbers, the smaller one first"
    if "log" in sweep.tags and low <= 0:
        return "log needs an interval above 0"
    if is_whole and not (low.is_integer() and high.is_integer()):
        return "the ends must be whole numbers, as all values are"
    return None


def _kinds(key: str, arms: Arms, composer: Composer) -> set[Any]:
    """The types that a key's values may have; those of a key that there is not, which is refused later, are numbers."""
    head, _, option = key.partition(".")
    annotation: Any = float
    if head in NESTED:
        annotation = field_types(NESTED[head]).get(option, float)
    elif key in GROUPS:
        return {str}
    elif head in GROUPS:
        types_of = (composer.types(head, name) for name in arms.names(head))
        annotation = next((its[option] for its in types_of if option in its), float)
    else:
        annotation = field_types(RunSpec).get(key, float)
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return set(get_args(annotation)) if is_union else {annotation}
