"""The progress of a sweep in words, and the line of a notebook that shows it; loads nothing that trains."""

from bnbench.progress.notebook import shown_in_notebook
from bnbench.progress.words import clock, line, spent, told

__all__ = ["clock", "line", "shown_in_notebook", "spent", "told"]
