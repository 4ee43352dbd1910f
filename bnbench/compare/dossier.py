"""The dossier as a report, which every format renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bnbench.compare.arms import Arm
from bnbench.compare.course import Dossier
from bnbench.compare.design import Asked
from bnbench.compare.facts import facts_view
from bnbench.compare.views import decision_view, lines_of, rank_view, summary, verdict_view
from bnbench.environment import environment
from bnbench.reports import Report
from bnbench.schema import Known

if TYPE_CHECKING:
    from bnbench.plan.arm_facts import ArmFacts


def dossier_report(
    asked: Sequence[Asked],
    dossier: Dossier,
    arms: Sequence[Arm],
    facts: Mapping[str, ArmFacts],
    parts: Known,
    command: str,
) -> Report:
    """All that a comparison came to.

    Args:
        asked: the questions, in the order in which they are shown.
        arms: all of them; the verdicts say which are compared.
        facts: of each arm, by its name.
        command: that repeats the comparison.
    """
    subjects = list(dict.fromkeys(arm for one in asked for arm, _ in one.pairs))
    sentences = tuple(text for name in subjects for text in summary(lines_of(asked, dossier, name), name))
    verdicts = verdict_view(asked, dossier, subjects)
    views = (verdicts, rank_view(asked, dossier), facts_view(arms, facts, parts), decision_view(asked, dossier))
    shown = tuple(view for view in views if view.tables or view.notes)
    where = tuple((key, str(value)) for key, value in environment().items())
    return Report(f"Comparison of {', '.join(subjects)}", sentences, shown, (("command", command), *where))


def short_report(report: Report) -> Report:
    """The verdicts alone, as a terminal shows them."""
    return replace(report, summary=(), views=report.views[:1], provenance=())
