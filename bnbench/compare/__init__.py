"""Comparisons: every question of conf/question, asked of a norm against others, and the dossier of its verdicts."""

from bnbench.compare.arms import AGAINST, Arm, read_arms
from bnbench.compare.course import Dossier, Size, compare, estimated_seconds, sizes
from bnbench.compare.design import Asked, ask, pairs_of
from bnbench.compare.dossier import dossier_report, short_report
from bnbench.compare.facts import facts_of
from bnbench.compare.tasks import Task, load_tasks, task_names, varied_questions

__all__ = [
    "AGAINST",
    "Arm",
    "Asked",
    "Dossier",
    "Size",
    "Task",
    "ask",
    "compare",
    "dossier_report",
    "estimated_seconds",
    "facts_of",
    "load_tasks",
    "pairs_of",
    "read_arms",
    "short_report",
    "sizes",
    "task_names",
    "varied_questions",
]
