"""The schema that ships with the package: written by ``make schema`` from the code and conf/, read in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from bnbench.schema.convert import Unknown
from bnbench.schema.description import Description, Descriptions
from bnbench.schema.facts import DataFacts, Facts

SHIPPED = Path(__file__).with_name("schema.json")
_PLAIN: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "null": type(None), "...": ...}
_NAMES = {kind: name for name, kind in _PLAIN.items()}


@dataclass(frozen=True)
class Shipped:
    """All that is said of built-in components.

    Attributes:
        defaults: the top-level keys and their defaults, without the groups.
        chosen: the default choice of each group.
        choices: by group and name. Those of optimizers and schedules have no types and no doc: these are dataclasses,
            which can be asked themselves.
        probes: by name, what each measures.
    """

    defaults: Mapping[str, Any]
    chosen: Mapping[str, str]
    choices: Descriptions
    probes: Mapping[str, str]

    def names(self, group: str) -> list[str]:
        """The choices of a group."""
        return [name for kind, name in self.choices if kind == group]

    @cached_property
    def datasets(self) -> Mapping[str, DataFacts]:
        """Facts about each dataset, by its name."""
        return {name: one.data for (_, name), one in self.choices.items() if one.data is not None}


@cache
def built_in() -> Shipped:
    """The schema that ships with the package."""
    tree = json.loads(SHIPPED.read_text(encoding="utf-8"))
    choices = {
        (group, name): _decoded(description)
        for group, names in tree["choices"].items()
        for name, description in names.items()
    }
    return Shipped(tree["defaults"], tree["chosen"], choices, tree["probes"])


def encode(shipped: Shipped) -> str:
    """The text of a schema; :func:`built_in` reads it back."""
    choices: dict[str, dict[str, Any]] = {}
    for (group, name), description in shipped.choices.items():
        choices.setdefault(group, {})[name] = dict(_encoded(description))
    tree = {"defaults": shipped.defaults, "chosen": shipped.chosen, "choices": choices, "probes": shipped.probes}
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def _encoded(description: Description) -> Iterator[tuple[str, Any]]:
    yield "options", description.options
    if description.types:
        yield "types", {option: _type_tree(annotation) for option, annotation in description.types.items()}
    if description.doc:
        yield "doc", description.doc
    if description.facts is not None:
        yield "facts", asdict(description.facts)
    if description.data is not None:
        yield "data", asdict(description.data)


def _decoded(tree: Mapping[str, Any]) -> Description:
    types = {option: _type(annotation) for option, annotation in tree.get("types", {}).items()}
    facts = Facts(**tree["facts"]) if "facts" in tree else None
    data = DataFacts(**tree["data"]) if "data" in tree else None
    return Description(tree["options"], types, tree.get("doc", ""), facts, data)


def _type_tree(annotation: Any) -> Any:
    """A type as plain data: ``"int"``, ``{"union": ["float", "null"]}``, ``{"literal": [...]}``."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {"literal": list(inside)}
    if origin in (Union, UnionType):
        return {"union": [_type_tree(kind) for kind in inside]}
    if origin in (tuple, list):
        return {origin.__name__: [_type_tree(kind) for kind in inside]}
    return {"unknown": annotation.name} if isinstance(annotation, Unknown) else _NAMES[annotation]


def _type(tree: Any) -> Any:
    if isinstance(tree, str):
        return _PLAIN[tree]
    ((kind, inside),) = tree.items()
    match kind:
        case "literal":
            return Literal[tuple(inside)]
        case "union":
            return Union[tuple(map(_type, inside))]  # noqa: UP007 - an Unknown is no type
        case "tuple":
            return tuple[tuple(map(_type, inside))]  # type: ignore[misc]
        case "list":
            return list[tuple(map(_type, inside))]  # type: ignore[misc]
    return Unknown(inside)
