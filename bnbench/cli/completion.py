"""Completion in shells: ``nor<Tab>`` completes keys, ``norm=ba<Tab>`` names, from the schema alone."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from bnbench.schema import Augmentation, built_in
from bnbench.schema.convert import shown
from bnbench.schema.fields import OPEN, field_types
from bnbench.schema.torchvision_names import torchvision_names
from bnbench.spec import OPTIMS, SCHEDULES, Evaluate, RunSpec, Split

INSTRUCTION = "_BNBENCH_COMPLETE"
"""The variable by which a shell asks: it holds the command line up to the cursor."""
LINE = "_TYPER_COMPLETE_ARGS"
"""The variable in which Typer looks for that line."""
NESTED: dict[str, type] = {"split": Split, "evaluate": Evaluate}
CLOSED: dict[str, Mapping[str, type]] = {"optim": OPTIMS, "schedule": SCHEDULES}


def settings(incomplete: str) -> list[str]:
    """The settings that a text may become: keys, or one key with its values."""
    key, equals, text = incomplete.partition("=")
    keys = _keys()
    if equals:
        return [f"{key}={value}" for value in _values(key, text)] if key in keys else []
    near = [name for name in keys if name.startswith(key)]
    return [f"{near[0]}={value}" for value in _values(near[0], "")] if len(near) == 1 else [f"{name}=" for name in near]


def studies(incomplete: str) -> list[str]:
    """The studies that a text may become, and the settings."""
    from bnbench.paths import conf_dir

    names = sorted(path.stem for path in (conf_dir() / "study").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)] + settings(incomplete)


def _keys() -> Mapping[str, Any]:
    """The type of every key, None for a group, which has names."""
    keys: dict[str, Any] = dict.fromkeys(built_in().chosen)
    types = {**field_types(RunSpec), "device": Literal["auto", "cpu", "cuda"]}
    for head, default in built_in().defaults.items():
        if isinstance(default, dict):
            inside = field_types(NESTED[head])
            keys |= {f"{head}.{option}": inside[option] for option in default}
        else:
            keys[head] = types[head]
    for (group, name), said in built_in().choices.items():
        fields = {**said.types, **field_types(Augmentation)} if group in OPEN else field_types(CLOSED[group][name])
        keys |= {f"{group}.{option}": fields[option] for option in said.options}
    return keys


def _values(key: str, text: str) -> Iterator[str]:
    """The values of a key that go on with a text: of several, the last one does."""
    before, comma, last = text.rpartition(",")
    for value in _known(key):
        if value.startswith(last) and value not in before.split(","):
            yield f"{before}{comma}{value}"


def _known(key: str) -> list[str]:
    if key in built_in().chosen:
        return built_in().names(key)
    if key == "model.name":
        return list(torchvision_names())
    return list(dict.fromkeys([*_allowed(_keys()[key]), *map(shown, _defaults(key))]))


def _allowed(annotation: Any) -> Iterator[str]:
    """The values of a type, as far as they can be counted."""
    if get_origin(annotation) is Literal:
        yield from map(shown, get_args(annotation))
    elif annotation is bool:
        yield from ("true", "false")
    elif get_origin(annotation) in (Union, UnionType):
        for kind in get_args(annotation):
            yield from ["null"] if kind is type(None) else _allowed(kind)


def _defaults(key: str) -> Iterator[Any]:
    head, _, option = key.partition(".")
    if head in built_in().chosen:
        for (group, _), said in built_in().choices.items():
            if group == head and option in said.options:
                yield said.options[option]
    else:
        default = built_in().defaults[head]
        yield default[option] if option else default


def typed_words() -> list[str]:
    """The words of the command line that a shell asks about, without the program and the word that is completed."""
    text = os.environ.get(LINE, "")
    try:
        words = shlex.split(text)
    except ValueError:  # a quote is open still
        words = text.split()
    return words[1:] if text.endswith(" ") else words[1:-1]


def answering_shells(program: Callable[[], Any]) -> None:
    """Run a program that a shell asks for completions of the line in :data:`INSTRUCTION`.

    The answers are whole words, one a line, with a tab and a few words of help behind some.
    """
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
    line = os.environ[INSTRUCTION]
    os.environ |= {INSTRUCTION: "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", LINE: line}
    word = "" if line[-1:].isspace() else (line.split() or [""])[-1]
    option = re.match(r"--[\w-]+=", word)
    try:
        with redirect_stdout(io.StringIO()) as answer:
            program()
    finally:
        for text in answer.getvalue().splitlines():
            print(f"{option[0] if option else ''}{text}", file=sys.stdout)
