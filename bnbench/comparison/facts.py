"""What each arm is: from its network, and from what its norm says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import decode_source
from typing import TYPE_CHECKING

from bnbench.comparison.arms import Arm
from bnbench.config import Composer, compose_request
from bnbench.imports import imported_whole
from bnbench.isolation import ask
from bnbench.reports import Cell, Column, Listing, ReportView, Table
from bnbench.schema import Known
from bnbench.schema.convert import shown
from bnbench.spec import run_id
from bnbench.study import Place
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.plan.arm_facts import ArmFacts

NETWORK = ("dataset=digits", "model=mlp")
"""The network whose parameters are counted."""


def facts_of(arms: Sequence[Arm], place: Place) -> dict[str, ArmFacts]:
    """The facts of each arm's network, by the arm's name; a user's code is executed in a process of its own.

    An arm whose process dies has none.
    """
    imported_whole("bnbench.plan.arm_facts")
    from bnbench.plan.arm_facts import arm_facts

    specs, names = {}, {}
    for arm in arms:
        (spec,) = compose_request([*NETWORK, *arm.settings], place.components).specs
        specs[run_id(spec)], names[run_id(spec)] = spec, arm.name
    found: dict[str, ArmFacts] = {}
    for answer in ask(arm_facts, specs, place.components, place.data):
        if answer.error is None:
            found |= {names[identity]: facts for identity, facts in answer.value.items()}
    return found


def facts_view(arms: Sequence[Arm], facts: Mapping[str, ArmFacts], parts: Known) -> ReportView:
    """What each arm is: its network, its norm, and the source of a user's norms."""
    composer = Composer(parts)
    tables = (_network_table(arms, facts, composer), _norm_table(arms, parts, composer))
    return ReportView("What was compared", tables, listings=tuple(_listings(arms, parts)))


def _network_table(arms: Sequence[Arm], facts: Mapping[str, ArmFacts], composer: Composer) -> Table:
    columns = (
        Column("arm", key=True),
        Column("norm", prose=True),
        *map(Column, ("parameters", "sees the batch in training", "differs at evaluation")),
        Column("source", prose=True),
    )
    rows = tuple(_network_cells(arm, facts.get(arm.name), composer) for arm in arms)
    notes = (
        f"Parameters: of a whole network, {' '.join(NETWORK)}.",
        *(f"{arm.name}: {one.error}" for arm in arms if (one := facts.get(arm.name)) and one.error),
    )
    return Table("The arms", columns, rows, notes)


def _network_cells(arm: Arm, facts: ArmFacts | None, composer: Composer) -> tuple[Cell, ...]:
    said = composer.facts(_norm(arm))
    title = Cell((said.title if said else composer.summary("norm", _norm(arm))) or "-")
    source = Cell(facts.source or "-") if facts else Cell()
    if facts is None or facts.error:
        return Cell(arm.name), title, *(Cell(words="n/a") for _ in range(3)), source
    yes_or_no = ("yes" if answer else "no" for answer in (facts.uses_batch, facts.differs))
    return Cell(arm.name), title, Cell(facts.parameters, "count"), *map(Cell, yes_or_no), source


def _norm(arm: Arm) -> str:
    return arm.settings[0].partition("=")[2]


def _norm_table(arms: Sequence[Arm], parts: Known, composer: Composer) -> Table:
    """What each norm computes, what it says of itself, and the options with which it was asked."""
    titles = ("formula", "description", "options")
    columns = (Column("arm", key=True), *(Column(title, prose=True) for title in titles))
    rows = tuple(
        (Cell(arm.name), Cell(_formula(arm, composer)), Cell(_doc(arm, composer)), Cell(_options(arm, parts, composer)))
        for arm in arms
    )
    return Table("Their norms", columns, rows)


def _formula(arm: Arm, composer: Composer) -> str:
    """The formula of a norm, and where it comes from; ``-`` where it says nothing of itself."""
    facts = composer.facts(_norm(arm))
    if facts is None:
        return "-"
    return f"{facts.formula}; over {facts.over}{f' ({facts.paper})' if facts.paper else ''}"


def _doc(arm: Arm, composer: Composer) -> str:
    """The first paragraph of a norm's docstring."""
    return " ".join(composer.doc("norm", _norm(arm)).strip().split("\n\n")[0].replace("`", "").split()) or "-"


def _options(arm: Arm, parts: Known, composer: Composer) -> str:
    """The options of a norm as they were, each with its default where that is another; then the arm's settings."""
    (spec,) = compose_request([*NETWORK, *arm.settings], parts).specs
    defaults = composer.options("norm", spec.norm.name)
    texts = [
        f"{name}={shown(value)}" + ("" if value == defaults[name] else f" (default {shown(defaults[name])})")
        for name, value in spec.norm.options.items()
    ]
    settings = [setting for setting in arm.settings[1:] if not setting.startswith("norm.")]
    return ", ".join([*texts, *settings]) or "none"


def _listings(arms: Sequence[Arm], parts: Known) -> Iterator[Listing]:
    """The files of a plugin, as they were read, where one of its norms is an arm."""
    plugin = parts.plugin
    if plugin is None or not any(parts.uses_plugin(norm=_norm(arm)) for arm in arms):
        return
    for path, source in {plugin.file: plugin.source, **plugin.beside}.items():
        text = _decoded(source)
        name = path.relative_to(plugin.file.parent).as_posix()
        yield Listing(f"{name}, {plural(len(text.splitlines()), 'line')}", text)


def _decoded(source: bytes) -> str:
    """A source as Python reads it; with escapes where it does not."""
    try:
        return decode_source(source).expandtabs(4)
    except (SyntaxError, ValueError):
        return source.decode(errors="backslashreplace")
