"""Planning asks of built-in components in this process, and of a user's in others: these may die of the answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bnbench.components import Components
from bnbench.environment import cores
from bnbench.errors import BnbenchError
from bnbench.launch import local
from bnbench.plan import ROOM, Inquiry, Question, Refusal, answer, last_line
from bnbench.plugin_source import Plugin
from bnbench.spec import RunSpec

Specs = Mapping[str, RunSpec]


@dataclass(frozen=True)
class Answer:
    """What a question about some specs came to.

    Attributes:
        error: how the process ended that was asked; there is no value then.
    """

    specs: Specs
    value: Any
    error: str | None = None


def ask(question: Question, specs: Specs, parts: Components, data: Path, measures: bool = False) -> Iterator[Answer]:
    """The answer about built-in components, if any are in use, then one for each arm of a user's.

    Args:
        parts: with the plugin as it was read.
        data: the folder of the datasets.
        measures: whether the answer takes time: arms are then asked one after the other, and once.

    Raises:
        BnbenchError: as the question does.
    """
    built_in = {identity: spec for identity, spec in specs.items() if spec.plugin is None}
    if built_in:
        yield Answer(built_in, question(built_in, parts, partial(parts.load, root=data)))
    plugin = parts.plugin
    if plugin is None or len(built_in) == len(specs):
        return
    arms: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        if spec.plugin is not None:
            arms.setdefault((spec.norm.name, spec.model.name, spec.dataset.name), {})[identity] = spec
    for found in _answers([Inquiry(question, arm, plugin, data) for arm in arms.values()], 1 if measures else cores()):
        if found.error is None or measures:
            yield found
        else:
            yield from _ask_again(question, found.specs, plugin, data)


def ask_abreast(question: Question, specs: Specs, parts: Components, data: Path, copies: int) -> list[Any]:
    """The answers of so many processes that are asked at the same time, as slow as they make each other.

    Those that died are left out.

    Raises:
        BnbenchError: as the question does.
    """
    plugin = parts.plugin if any(spec.plugin for spec in specs.values()) else None
    inquiries = [Inquiry(question, specs, plugin, data) for _ in range(copies)]
    return [found.value for found in _answers(inquiries, copies) if found.error is None]


def _ask_again(question: Question, specs: Specs, plugin: Plugin, data: Path) -> Iterator[Answer]:
    """Ask of each network by itself where one of them has ended the process, and follow which line it was."""
    networks: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        networks.setdefault((spec.norm, spec.model, spec.dataset, spec.batch_size), {})[identity] = spec
    for network in networks.values():
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(ROOM)
            trace = Path(file.name)
            for found in _answers([Inquiry(question, network, plugin, data, trace)], 1):
                yield found if found.error is None else replace(found, error=f"{found.error}{last_line(trace)}")


def _answers(inquiries: Sequence[Inquiry], jobs: int) -> Iterator[Answer]:
    """What came of inquiries, each in a process by itself."""
    places = {id(inquiry): place for place, inquiry in enumerate(inquiries)}
    with closing(local(answer, inquiries, min(jobs, len(inquiries)), lambda inquiry: places[id(inquiry)])) as told:
        for done in told:
            if isinstance(done.value, Refusal):
                raise BnbenchError(done.value.text)
            yield Answer(inquiries[done.index].specs, done.value, done.error)
