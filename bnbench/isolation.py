"""Questions about components: built-in ones answer in this process, a user's in others, which may die or be silent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bnbench.environment import cores
from bnbench.errors import BnbenchError, PluginError
from bnbench.imports import imported_whole
from bnbench.launch import local, prestart
from bnbench.notices import Doubling, notice
from bnbench.plan import ROOM, Inquiry, Question, Refusal, answer, last_line
from bnbench.plugin_source import Plugin
from bnbench.schema import Known
from bnbench.spec import RunSpec, arm

IMPORTED = ("bnbench.plugins", "bnbench.plan.feasibility")
"""Modules of a process that answers."""
SILENT_SECONDS = 30.0
"""Seconds without a sign of life that are worth telling of what trains, and that an import may take."""
EARLY = 10.0
"""Seconds without a sign of life that are worth telling of what is tried before training."""

Specs = Mapping[str, RunSpec]
Waits = Callable[[Mapping[RunSpec, float]], None]
"""Is told each second which specs are being asked about, and for how many seconds; none once the last has answered."""


@dataclass(frozen=True)
class Answer:
    """The answer to a question about some specs.

    Attributes:
        error: how the process ended that was asked; there is no value then.
    """

    specs: Specs
    value: Any
    error: str | None = None


class _Hung(Exception):
    """A process has not answered for :data:`SILENT_SECONDS`."""


def ask(
    question: Question,
    specs: Specs,
    parts: Known,
    data: Path,
    measures: bool = False,
    waits: Waits | None = None,
) -> Iterator[Answer]:
    """The answer about built-in components, if any are in use, then one for each arm of a user's.

    Args:
        parts: the plugin as it was read.
        data: the folder of the datasets.
        measures: whether the answer takes time: arms are then asked one after the other, and once.
        waits: by default, whoever hears notices is told of an arm from which nothing comes for :data:`EARLY`, or
            :data:`SILENT_SECONDS` if it measures.

    Raises:
        BnbenchError: as the question does.
    """
    built_in = {identity: spec for identity, spec in specs.items() if spec.plugin is None}
    if built_in:
        imported_whole("bnbench.components", "bnbench.plan.feasibility")
        from bnbench.components import DataFolder, components
        from bnbench.training import prepare_process

        prepare_process()
        here = components()
        yield Answer(built_in, question(built_in, here, DataFolder(here, data)))
    plugin = parts.plugin
    if plugin is None or len(built_in) == len(specs):
        return
    inquiries = [Inquiry(question, arm, plugin, data) for arm in plugin_arms(specs)]
    for reply in _answers(
        inquiries, 1 if measures else cores(), waits or _named(SILENT_SECONDS if measures else EARLY)
    ):
        if reply.error is None or measures:
            yield reply
        else:
            yield from _ask_again(question, reply.specs, plugin, data, waits or _named(EARLY))


def plugin_arms(specs: Specs) -> list[Specs]:
    """The specs of each combination of a user's components."""
    arms: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        if spec.plugin is not None:
            arms.setdefault(spec.component_names, {})[identity] = spec
    return list(arms.values())


def ask_of_import(question: Question, plugin: Plugin) -> Any:
    """The answer, about no specs, of a process that has imported a plugin.

    Raises:
        PluginError: the process died, wrote what is no answer, or gave none for :data:`SILENT_SECONDS`; or as the
            question does.
    """
    reason = ""
    with _trace() as trace:
        for exactly in (False, True):  # the second time to find the line
            try:
                inquiry = Inquiry(question, {}, plugin, Path(), trace, exactly)
                (reply,) = _answers([inquiry], 1, longest=_while_imported(plugin))
            except _Hung:
                reason = reason or f"it has not ended after {SILENT_SECONDS:.0f} s"
                break
            except BnbenchError as error:
                raise PluginError(str(error)) from error
            if reply.error is None:
                return reply.value
            reason = reply.error
        raise PluginError(f"--plugin {plugin.file}: importing it failed: {reason}{last_line(trace)}")


def ask_at_once(questions: Sequence[tuple[Question, Specs]], parts: Known, data: Path) -> list[Answer]:
    """The answers of as many processes at the same time, as slow as they make each other, without those that died.

    Raises:
        BnbenchError: as a question does.
    """
    plugins = [parts.plugin_of(specs.values()) for _, specs in questions]
    inquiries = [Inquiry(*asked, plugin, data) for asked, plugin in zip(questions, plugins, strict=True)]
    return [reply for reply in _answers(inquiries, len(inquiries), _named(SILENT_SECONDS)) if reply.error is None]


def _ask_again(question: Question, specs: Specs, plugin: Plugin, data: Path, waits: Waits) -> Iterator[Answer]:
    """Ask of each network by itself where one of them has ended the process, and follow which line it was."""
    networks: dict[object, dict[str, RunSpec]] = {}
    for identity, spec in specs.items():
        networks.setdefault((spec.norm, spec.model, spec.dataset, spec.batch_size), {})[identity] = spec
    for network in networks.values():
        with _trace() as trace:
            for reply in _answers([Inquiry(question, network, plugin, data, trace)], 1, waits):
                yield reply if reply.error is None else replace(reply, error=f"{reply.error}{last_line(trace)}")


@contextmanager
def _trace() -> Iterator[Path]:
    """A file that takes a line of code from another process."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(ROOM)
        yield Path(file.name)


def _named(after: float) -> Waits:
    """Give notice of the arm from which nothing comes for so many seconds."""
    silence = _silence(after)

    def tell(waiting: Mapping[RunSpec, float]) -> None:
        longest = max(waiting.values(), default=0.0)
        silence(longest, lambda: f"{arm(max(waiting, key=waiting.__getitem__))} for {longest:.0f} s while it is tried")

    return tell


def _while_imported(plugin: Plugin) -> Callable[[float], None]:
    """Give notice of an import that goes on, until it is given up.

    Raises:
        _Hung: by what is returned.
    """
    silence = _silence(EARLY)

    def tell(seconds: float) -> None:
        if seconds >= SILENT_SECONDS:
            raise _Hung
        silence(seconds, lambda: f"--plugin {plugin.file} for {seconds:.0f} s while it is imported")

    return tell


def _silence(after: float) -> Callable[[float, Callable[[], str]], None]:
    """Give notice of a silence that has lasted so many seconds, and each time that it has doubled."""
    doubling = Doubling()

    def tell(seconds: float, words: Callable[[], str]) -> None:
        if doubling.is_due(seconds if seconds >= after else 0.0):
            notice(f"nothing heard from {words()}; Ctrl-C stops all")

    return tell


def _answers(
    inquiries: Sequence[Inquiry],
    jobs: int,
    waits: Waits = lambda waiting: None,
    longest: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Answer]:
    """The answers to inquiries, each of a process by itself.

    Args:
        longest: is told each second for how many of them nothing has come from an inquiry; what it raises ends all.
    """
    places = {id(inquiry): place for place, inquiry in enumerate(inquiries)}

    def waited(seconds_in_hand: Mapping[int, float]) -> Collection[int]:
        longest(max(seconds_in_hand.values(), default=0.0))
        waits({spec: seconds for index, seconds in seconds_in_hand.items() for spec in inquiries[index].specs.values()})
        return ()

    jobs = min(jobs, len(inquiries))
    prestart(*IMPORTED)
    with closing(local(answer, inquiries, jobs, lambda inquiry: places[id(inquiry)], waited=waited)) as ends:
        for end in ends:
            if isinstance(end.value, Refusal):
                raise BnbenchError(end.value.text)
            yield Answer(inquiries[end.index].specs, end.value, end.error)
    waits({})
