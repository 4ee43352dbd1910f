"""Option types, read from annotations: the signature of a component is the one place that says what is allowed."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union

from bnbench.errors import PluginError, nearest
from bnbench.spec import Value


class Mismatch(Exception):
    """A value has the wrong type; the message completes "name=value: "."""


@cache
def option_types(component: Callable[..., Any]) -> dict[str, Any]:
    """The annotated options of a component: dataclass fields, or parameters that have a default.

    An option without an annotation takes the type of its default.

    Raises:
        PluginError: an option has no default.
    """
    hints = _hints(component)
    if is_dataclass(component):
        return {field.name: hints[field.name] for field in fields(component)}
    return {name: hints.get(name, type(default)) for name, default in option_defaults(component).items()}


@cache
def option_defaults(component: Callable[..., Any]) -> dict[str, Any]:
    """The options of a constructor or function and their defaults.

    Raises:
        PluginError: a keyword-only option has no default.
    """
    defaults: dict[str, Any] = {}
    for parameter in inspect.signature(component).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is not parameter.empty:
            defaults[parameter.name] = parameter.default
        elif parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginError(f"{component.__name__}: option {parameter.name!r} needs a default value")
    return defaults


def _hints(component: Callable[..., Any]) -> dict[str, Any]:
    target = component.__init__ if isinstance(component, type) and not is_dataclass(component) else component  # type: ignore[misc]
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError):
        return {}


def convert(annotation: Any, value: Any) -> Value:
    """The value as its annotation wants it.

    Raises:
        Mismatch: the value has another type or is not among the allowed ones.
    """
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _convert_union(typing.get_args(annotation), value)
    if origin is Literal:
        allowed = typing.get_args(annotation)
        if value in allowed and type(value) in {type(item) for item in allowed}:
            return typing.cast(Value, value)
        raise Mismatch(f"not allowed; {nearest(str(value), [str(item) for item in allowed])}")
    if origin is tuple:
        return _convert_list(typing.get_args(annotation)[0], value)
    return _convert_scalar(annotation, value)


def _convert_union(members: tuple[Any, ...], value: Any) -> Value:
    if value is None and type(None) in members:
        return None
    (member,) = [item for item in members if item is not type(None)]
    try:
        return convert(member, value)
    except Mismatch as mismatch:
        raise Mismatch(f"{mismatch} or null") from None


def _convert_list(member: Any, value: Any) -> Value:
    if not isinstance(value, list | tuple):
        raise Mismatch("must be a list such as [0.5,0.75]")
    return tuple(typing.cast(float, convert(member, item)) for item in value)


def _convert_scalar(annotation: Any, value: Any) -> Value:
    if annotation is bool:
        if isinstance(value, bool):
            return value
        raise Mismatch("must be true or false")
    if annotation is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise Mismatch("must be a whole number")
    if annotation is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise Mismatch("must be a finite number")
    if annotation is str:
        if isinstance(value, str):
            return value
        raise Mismatch("must be text (quote it)")
    if annotation is type(None):  # a plugin's option whose default is None and that has no annotation
        return typing.cast(Value, value)
    raise Mismatch(
        f"its type {annotation!r} is not one of bool, int, float, str, Literal, tuple[float, ...], or these with None"
    )
