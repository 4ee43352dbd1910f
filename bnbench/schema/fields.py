"""The options of a component, read from its signature: the one place that says what is allowed."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from inspect import Parameter
from typing import Any

from bnbench.errors import PluginError

GIVEN = {"norm": ("num_features",), "model": ("norm", "shape", "classes"), "dataset": ("root",)}
"""By group, what a component is called with by position; the parameters behind that are its options."""
OPEN = tuple(GIVEN)
"""The groups that a plugin can add to."""

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@cache
def field_types(kind: type) -> Mapping[str, Any]:
    """The annotations of a dataclass."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def option_types(group: str, component: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of a component's options.

    An option without an annotation takes the type of its default, and one whose default is None can be None.

    Raises:
        PluginError: as :func:`option_defaults`.
    """
    hints = _hints(component)
    types = {}
    for name, default in option_defaults(group, component).items():
        hint = hints.get(name, _type_of(default))
        types[name] = typing.Optional[hint] if default is None else hint  # noqa: UP045 - a hint need not have |
    return types


@cache
def option_defaults(group: str, component: Callable[..., Any]) -> Mapping[str, Any]:
    """The options of a component and their defaults.

    Raises:
        PluginError: the component cannot be called as its group is, or an option has no default.
    """
    names = GIVEN[group]
    try:
        parameters = list(inspect.signature(component).parameters.values())
    except (TypeError, ValueError) as error:
        raise PluginError(f"has no signature to read options from: {error}") from error
    positional = [parameter for parameter in parameters if parameter.kind in _BY_POSITION]
    if len(positional) < len(names) and not any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters):
        raise PluginError(f"must take ({', '.join(names)}) by position")
    by_position = {parameter.name for parameter in positional[: len(names)]}
    options = [item for item in parameters if item.name not in by_position and item.kind in (*_BY_POSITION, *_BY_NAME)]
    without = [item.name for item in options if item.default is Parameter.empty]
    if without:
        raise PluginError(f"option {', '.join(without)} needs a default value")
    return {item.name: item.default for item in options if item.kind in _BY_NAME}


def _type_of(default: Any) -> Any:
    return tuple[float, ...] if isinstance(default, list | tuple) else type(default)


def _hints(component: Callable[..., Any]) -> dict[str, Any]:
    target = component.__init__ if isinstance(component, type) else component  # type: ignore[misc]
    try:
        return typing.get_type_hints(target)
    except Exception:  # annotations are code that may name what is imported for type checkers only
        return {}
