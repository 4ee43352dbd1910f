"""Comparisons: every question of conf/question, asked of a norm against others, and the dossier of its verdicts."""

from bnbench.comparison.arms import AGAINST, Arm, read_arms
from bnbench.comparison.asking import Size, Terms, answered
from bnbench.comparison.course import Dossier, compare, estimated_seconds, results_elsewhere, sizes
from bnbench.comparison.design import Asked, ask, pairs_of
from bnbench.comparison.dossier import dossier_report, short_report
from bnbench.comparison.facts import facts_of
from bnbench.comparison.request import Comparison, power_note, read_comparison
from bnbench.comparison.tasks import Task, load_tasks, task_names, varied_questions

__all__ = [
    "AGAINST",
    "Arm",
    "Asked",
    "Comparison",
    "Dossier",
    "Size",
    "Task",
    "Terms",
    "answered",
    "ask",
    "compare",
    "dossier_report",
    "estimated_seconds",
    "facts_of",
    "load_tasks",
    "pairs_of",
    "power_note",
    "read_arms",
    "read_comparison",
    "results_elsewhere",
    "short_report",
    "sizes",
    "task_names",
    "varied_questions",
]
