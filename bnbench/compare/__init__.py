"""Comparisons: every question of conf/question, asked of a norm against others, and the dossier of its verdicts."""

from bnbench.compare.arms import AGAINST, Arm, read_arms
from bnbench.compare.course import Dossier, Size, compare, estimated_seconds, sizes
from bnbench.compare.design import Asked, ask, pairs_of
from bnbench.compare.tasks import Task, load_tasks, task_names, varied_questions
from bnbench.compare.views import decision_view, rank_view, verdict_view

__all__ = [
    "AGAINST",
    "Arm",
    "Asked",
    "Dossier",
    "Size",
    "Task",
    "ask",
    "compare",
    "decision_view",
    "estimated_seconds",
    "load_tasks",
    "pairs_of",
    "rank_view",
    "read_arms",
    "sizes",
    "task_names",
    "varied_questions",
    "verdict_view",
]
