"""Runs chosen by what their rows hold: ``norm=batch 'val_accuracy>0.9'``, and the settings in which they differ."""

from bnbench.filters.columns import Columns, number
from bnbench.filters.conditions import Condition, chosen, conditions, is_condition, quoted, unmatched
from bnbench.filters.order import ordered
from bnbench.filters.variation import SETTINGS, varying

__all__ = [
    "SETTINGS",
    "Columns",
    "Condition",
    "chosen",
    "conditions",
    "is_condition",
    "number",
    "ordered",
    "quoted",
    "unmatched",
    "varying",
]
