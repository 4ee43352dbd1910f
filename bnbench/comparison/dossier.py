"""The dossier as a report, which every format renders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bnbench.comparison.aggregate_views import OVER_TASKS, over_tasks_view, pairs_view
from bnbench.comparison.aggregates import over_tasks
from bnbench.comparison.course import Dossier
from bnbench.comparison.facts import facts_view
from bnbench.comparison.overview import overview
from bnbench.comparison.request import Comparison, power_note
from bnbench.comparison.views import VERDICTS, decision_view, lines_of, rank_view, summary, untested_view, verdict_view
from bnbench.environment import environment
from bnbench.reports import Report
from bnbench.schema import Known
from bnbench.text import plural

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
    aggregates = over_tasks(asked, dossier)
    together = overview(asked, dossier)
    views = (
        together,
        verdict_view(asked, dossier, subjects),
        over_tasks_view(aggregates, subjects),
        pairs_view(aggregates),
        rank_view(asked, dossier),
        facts_view(request.arms, facts, parts),
        decision_view(asked, dossier),
        untested_view(asked),
    )
    shown = tuple(view for view in views if view.tables or view.notes)
    where = (*_taken_over(dossier), *((key, str(value)) for key, value in environment().items()))
    return Report(
        f"Comparison of {', '.join(subjects) if not together.tables else plural(len(subjects), 'arm')}",
        together.sentences or sentences,
        shown,
        (("command", command), ("replicates", power_note(request)), *where),
    )


def _taken_over(dossier: Dossier) -> Iterator[tuple[str, str]]:
    """A line of provenance on the runs that were trained in other sweeps."""
    counts = sum(dossier.taken_over.values(), Counter[str]())
    if counts:
        yield "taken over", ", ".join(f"{plural(runs, 'run')} of {name}" for name, runs in counts.items())


def short_report(report: Report) -> Report:
    """The summary and the verdicts, of many arms in one table, and what they come to over tasks, for a terminal."""
    first, *others = report.views
    notes = tuple(note for view in report.views if view.title == VERDICTS for note in view.notes)
    shown = (replace(first, notes=notes), *(view for view in others if view.title == OVER_TASKS))
    return replace(report, views=shown, provenance=())
