"""Before training: what is impossible, what is trained together, and how long it will take.

The names here need no torch; what builds networks is in modules of its own, imported where it is asked.
"""

from bnbench.plan.examination import Examination, examine, examine_options, lasts, likely_failures, summarized
from bnbench.plan.execution import ALONE, Division, Execution
from bnbench.plan.grouping import engine_lines, makespan, stacks, stacks_of
from bnbench.plan.inquiry import ROOM, Inquiry, Question, Refusal, answer, last_line
from bnbench.plan.resources import Resources

__all__ = [
    "ALONE",
    "ROOM",
    "Division",
    "Examination",
    "Execution",
    "Inquiry",
    "Question",
    "Refusal",
    "Resources",
    "answer",
    "engine_lines",
    "examine",
    "examine_options",
    "last_line",
    "lasts",
    "likely_failures",
    "makespan",
    "stacks",
    "stacks_of",
    "summarized",
]
