"""A search for the best settings: trials at points of a space, each trained for all factors and seeds of a sweep."""

from bnbench.search.course import Course, prepared
from bnbench.search.methods import METHODS
from bnbench.search.settings import SearchSettings
from bnbench.search.trial import Trial

__all__ = ["METHODS", "Course", "SearchSettings", "Trial", "prepared"]
