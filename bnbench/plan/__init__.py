"""Before training: what is impossible, what is trained together, and how long it will take."""

from bnbench.plan.equal_arms import columns
from bnbench.plan.estimate import stack_seconds, until_last
from bnbench.plan.examination import Examination, examine, examine_options
from bnbench.plan.execution import ALONE, Division, Execution, Means, division
from bnbench.plan.feasibility import obstacles, summarized
from bnbench.plan.first_step import likely_failures
from bnbench.plan.inquiry import ROOM, Inquiry, Question, Refusal, answer, last_line
from bnbench.plan.room import check_room
from bnbench.plan.stacks import stacks

__all__ = [
    "ALONE",
    "ROOM",
    "Division",
    "Examination",
    "Execution",
    "Inquiry",
    "Means",
    "Question",
    "Refusal",
    "answer",
    "check_room",
    "columns",
    "division",
    "examine",
    "examine_options",
    "last_line",
    "likely_failures",
    "obstacles",
    "stack_seconds",
    "stacks",
    "summarized",
    "until_last",
]
