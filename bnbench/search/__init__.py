"""A search for the best settings: trials at points of a space, each trained for all factors and seeds of a sweep."""

from bnbench.search.bracket import Bracket
from bnbench.search.carrying_out import carry_out
from bnbench.search.course import Course, prepared
from bnbench.search.methods import METHODS
from bnbench.search.settings import SearchSettings, read_settings
from bnbench.search.trial import Trial

__all__ = ["METHODS", "Bracket", "Course", "SearchSettings", "Trial", "carry_out", "prepared", "read_settings"]
