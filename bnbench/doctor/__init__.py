"""The state of an installation and its surroundings: what works, what is not there, and what is wrong."""

from bnbench.doctor.examination import findings
from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding

__all__ = ["ABSENT", "OK", "WRONG", "Finding", "findings"]
