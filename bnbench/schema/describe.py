"""Descriptions of components as plain data: the program knows nothing else of a plugin."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from bnbench.errors import PluginError
from bnbench.schema.augmentation import COMMON
from bnbench.schema.convert import Unknown, WrongType, convert
from bnbench.schema.description import Description, Descriptions
from bnbench.schema.facts import Facts
from bnbench.schema.fields import option_defaults, option_types

_PLAIN = (bool, int, float, str, type(None))


def describe(
    registries: Mapping[str, Mapping[str, Callable[..., Any]]], added: Mapping[str, frozenset[str]]
) -> Descriptions:
    """The descriptions of components by group and name.

    Args:
        registries: by group, all components by name.
        added: by group, the names of those that are described.

    Raises:
        PluginError: a component cannot be called, or has an option without a usable default.
    """
    return {
        (group, str.__str__(name)): _description(group, name, registries[group][name])
        for group, names in added.items()
        for name in names
    }


def facts_of(norm: Callable[..., Any]) -> Facts | None:
    """The facts that a norm states of itself, if it does."""
    facts = getattr(norm, "facts", None)
    return facts if isinstance(facts, Facts) else None


def _description(group: str, name: str, component: Callable[..., Any]) -> Description:
    try:
        defaults = option_defaults(group, component)
        kinds = {option: plain_type(annotation) for option, annotation in option_types(group, component).items()}
    except PluginError as error:
        raise PluginError(f"--plugin: {group} {name!r} {error}") from error
    options = {}
    for option, default in defaults.items():
        try:
            options[option] = _plain(convert(kinds[option], default))
        except WrongType as mismatch:
            raise PluginError(f"--plugin: {group} {name!r}, default {option}={default!r}: {mismatch}") from mismatch
    if group == "dataset":
        if names := sorted(set(options) & set(COMMON)):
            raise PluginError(
                f"--plugin: dataset {name!r} must not have the option {names[0]!r}, which every dataset has; rename it"
            )
        options |= COMMON
    doc = inspect.getdoc(component)
    facts = facts_of(component) if group == "norm" else None
    return Description(options, kinds, str.__str__(doc) if isinstance(doc, str) else "", facts)


def plain_type(annotation: Any) -> Any:
    """An annotation without a user's classes, for each of which there is an :class:`Unknown`."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation is ... or any(annotation is kind for kind in _PLAIN):
        return annotation
    if origin in (Union, types.UnionType):
        return Union[tuple(map(plain_type, inside))]  # noqa: UP007 - an Unknown is no type
    if origin is Literal and all(type(item) in _PLAIN for item in inside):
        return Literal[inside]
    if origin in (tuple, list) and inside:
        return origin[tuple(map(plain_type, inside))]
    return Unknown(str(annotation.__name__ if isinstance(annotation, type) and not inside else annotation))


def _plain(value: Any) -> Any:
    """A value of an option without the user's own kind of it, such as a member of an enumeration."""
    match value:
        case bool():
            return value
        case int():
            return int.__int__(value)
        case str():
            return str.__str__(value)
        case tuple():
            return tuple(map(_plain, value))
        case _:
            return value
