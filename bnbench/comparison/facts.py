"""What each arm is: from its network, and from what its norm says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bnbench.comparison.arms import Arm
from bnbench.config import Composer, compose_request
from bnbench.imports import imported_whole
from bnbench.isolation import ask
from bnbench.reports import Cell, Column, ReportView, Table
from bnbench.schema import Known
from bnbench.spec import run_id
from bnbench.study import Place

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
    """A row per arm: what it is, its parameters, and what it looks at."""
    composer = Composer(parts)
    titles = ["what it is", "parameters", "sees the batch in training", "differs at evaluation"]
    rows = tuple(_cells(arm, facts.get(arm.name), composer) for arm in arms)
    notes = (
        f"Parameters: of a whole network, {' '.join(NETWORK)}.",
        *(f"{arm.name}: {formula}" for arm in arms if (formula := _formula(arm, composer))),
    )
    table = Table("The arms", (Column("arm", key=True), *map(Column, titles)), rows, tuple(dict.fromkeys(notes)))
    return ReportView("What was compared", (table,))


def _cells(arm: Arm, facts: ArmFacts | None, composer: Composer) -> tuple[Cell, ...]:
    said = composer.facts(_norm(arm))
    title = (said.title if said else composer.summary("norm", _norm(arm))) or "-"
    if facts is None or facts.error:
        return Cell(arm.name), Cell(title), *(Cell(words="n/a") for _ in range(3))
    yes_or_no = ("yes" if answer else "no" for answer in (facts.uses_batch, facts.differs))
    return Cell(arm.name), Cell(title), Cell(facts.parameters, "count"), *map(Cell, yes_or_no)


def _norm(arm: Arm) -> str:
    return arm.settings[0].partition("=")[2]


def _formula(arm: Arm, composer: Composer) -> str:
    """The formula of a norm, and where it comes from; empty where it says nothing of itself."""
    facts = composer.facts(_norm(arm))
    if facts is None:
        return ""
    return f"{facts.formula}; over {facts.over}{f' ({facts.paper})' if facts.paper else ''}."
