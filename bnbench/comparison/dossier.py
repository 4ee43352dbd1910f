"""The dossier as a report, which every format renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bnbench.comparison.course import Dossier
from bnbench.comparison.facts import facts_view
from bnbench.comparison.request import Comparison, power_note
from bnbench.comparison.views import decision_view, lines_of, rank_view, summary, verdict_view
from bnbench.environment import environment
from bnbench.reports import Report
from bnbench.schema import Known

if TYPE_CHECKING:
    from bnbench.plan.arm_facts import ArmFacts


def dossier_report(
    request: Comparison,
    dossier: Dossier,
    facts: Mapping[str, ArmFacts],
    parts: Known,
    command: str,
) -> Report:
    """All that a comparison came to.

    Args:
        request: what was compared.
        facts: of each arm, by its name.
        command: that repeats the comparison.
    """
    asked = request.asked
    subjects = list(dict.fromkeys(arm for one in asked for arm, _ in one.pairs))
    sentences = tuple(text for name in subjects for text in summary(lines_of(asked, dossier, name), name))
    verdicts = verdict_view(asked, dossier, subjects)
    views = (verdicts, rank_view(asked, dossier), facts_view(request.arms, facts, parts), decision_view(asked, dossier))
    shown = tuple(view for view in views if view.tables or view.notes)
    where = tuple((key, str(value)) for key, value in environment().items())
    return Report(
        f"Comparison of {', '.join(subjects)}",
        sentences,
        shown,
        (("command", command), ("replicates", power_note(request)), *where),
    )


def short_report(report: Report) -> Report:
    """The summary and the verdicts, as a terminal shows them."""
    return replace(report, views=report.views[:1], provenance=())
