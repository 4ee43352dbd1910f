"""Every setting with its default, its allowed values and its meaning, which is from a docstring."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from bnbench.config.compose import GROUPS, Composer
from bnbench.config.keys import NESTED
from bnbench.config.request import DEVICES, Request
from bnbench.schema import Augmentation
from bnbench.schema.convert import shown
from bnbench.schema.fields import field_types
from bnbench.spec import RunSpec

_SECTION = re.compile(r"^(?:Args|Attributes):\n((?: {4}.*\n|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*\n(?: {8}.*\n)*)", re.MULTILINE)

_TYPED = {"None": "null", "True": "true", "False": "false"}
_PYTHON = re.compile(r"\b(?:None|True|False)\b")


@dataclass(frozen=True)
class Entry:
    """One setting.

    Attributes:
        key: as it is typed.
        default: as it is typed.
        allowed: names, or the kind of value.
        meaning: empty if nobody says.
        choices: for an option of some choices of a group only, these.
    """

    key: str
    default: str
    allowed: str
    meaning: str
    choices: tuple[str, ...] = ()


def entries(composer: Composer) -> Iterator[Entry]:
    """All settings: those of every run, then the options of each group's choices, also of a plugin's components."""
    meaning = {**meanings(RunSpec), "device": meanings(Request)["device"]}
    names = {group: composer.names(group) or [] for group in GROUPS}
    for group in GROUPS:
        yield Entry(group, composer.chosen[group], ", ".join(names[group]), meaning[group])
    types_of = field_types(RunSpec)
    for key, default in composer.defaults.items():
        if key in NESTED:
            inside, says = field_types(NESTED[key]), meanings(NESTED[key])
            for option, value in default.items():
                yield Entry(f"{key}.{option}", shown(value), allowed(inside[option]), says.get(option, ""))
        else:
            holds = DEVICES if key == "device" else allowed(types_of[key])
            yield Entry(key, shown(default), holds, meaning.get(key, ""))
    for group in GROUPS:
        yield from _options(composer, group, names[group])


def _options(composer: Composer, group: str, names: list[str]) -> Iterator[Entry]:
    """The options of a group; one that choices have in common, with one default and meaning, is told once."""
    common = meanings(Augmentation) if group == "dataset" else {}
    owners: dict[Entry, list[str]] = {}
    for name in names:
        types_of, says = composer.types(group, name), {**common, **doc_meanings(composer.doc(group, name))}
        for option, default in composer.options(group, name).items():
            entry = Entry(f"{group}.{option}", shown(default), allowed(types_of[option]), says.get(option, ""))
            owners.setdefault(entry, []).append(name)
    for entry in sorted(owners, key=lambda entry: entry.key):
        some = () if owners[entry] == names else tuple(owners[entry])
        yield Entry(entry.key, entry.default, entry.allowed, entry.meaning, some)


def allowed(annotation: Any) -> str:
    """The values that a setting of a type can hold, in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in inside if kind is not type(None) and not (kind is int and float in inside)]
        return " or ".join([*map(allowed, kinds), *["null"] * (type(None) in inside)])
    if origin is Literal:
        return ", ".join(map(shown, inside))
    if origin in (tuple, list):
        return f"a list of: {allowed(inside[0])}" if get_origin(inside[0]) is Literal else "a list of numbers"
    return {bool: "true, false", int: "a whole number", float: "a number", str: "text"}.get(annotation, "")


def meanings(documented: Any) -> Mapping[str, str]:
    """The meanings of the attributes or arguments of a class or function by name, from its docstring."""
    return doc_meanings(inspect.getdoc(documented) or "")


def doc_meanings(doc: str) -> Mapping[str, str]:
    """The meanings of attributes or arguments by name, from a docstring."""
    return {
        name: _PYTHON.sub(lambda word: _TYPED[word[0]], " ".join(says.replace("`", "").split()).rstrip("."))
        for section in _SECTION.findall(f"{doc}\n")
        for names, says in _ENTRY.findall(section)
        for name in names.split(", ")
    }
