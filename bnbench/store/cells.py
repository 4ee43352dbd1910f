"""Rules for the cells of tables; a cell that is empty is a missing value and always allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import float_info
from typing import get_args

from bnbench.errors import nearest
from bnbench.spec import MOST_STEPS
from bnbench.store.columns import TRIAL, Status


@dataclass(frozen=True)
class Number:
    """A number between limits, both allowed.

    Attributes:
        high: the largest float stands for any finite number.
        whole: no fraction.
        open: ``nan`` is allowed; so are infinities where the limits are.
    """

    low: float = 0
    high: float = float_info.max
    whole: bool = False
    open: bool = False

    def holds(self, text: str) -> bool:
        """True for a text that is such a number."""
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            return False
        if math.isnan(value):
            return self.open and "_" not in text
        return self.low <= value <= self.high and (not self.whole or value.is_integer())

    @property
    def allowed(self) -> str:
        """The allowed numbers in words."""
        if not math.isfinite(self.high):
            return "must be a number"
        kind = "whole number" if self.whole else "number"
        if self.high < float_info.max:
            return f"must be a {kind} from {self.low:g} to {self.high:,.0f}"
        return f"must be a {kind if self.whole else 'finite number'}, at least {self.low:g}"


SHARE = Number(high=1, open=True)
LOSS = Number(low=-math.inf, high=math.inf, open=True)
COUNT = Number(high=1e18, whole=True)
SEED = Number(whole=True)
STEP = Number(high=MOST_STEPS, whole=True)
AMOUNT = Number()
POSITIVE = Number(low=1, whole=True)
BOOLS = ("true", "false")

Rule = Number | tuple[str, ...]
"""The allowed cells: numbers, or some texts in any case."""

ACCURACIES = ("train_accuracy", "val_accuracy", "best_val_accuracy", "test_accuracy")
LOSSES = ("train_loss", "val_loss", "test_loss")

RUN_RULES: dict[str, Rule] = {
    "status": get_args(Status),
    **dict.fromkeys(ACCURACIES, SHARE),
    **dict.fromkeys(LOSSES, LOSS),
    **dict.fromkeys(("steps_done", "diverged_step", "epochs", "steps"), STEP),
    **dict.fromkeys(("examples_done", "parameters", TRIAL), COUNT),
    **dict.fromkeys(("seed", "split.seed"), SEED),
    **dict.fromkeys(("lanes", "classes", "batch_size", "devices", "lr_reference_batch", "split.train"), POSITIVE),
    **dict.fromkeys(("freeze_statistics", "evaluate.every", "evaluate.recompute_batches", "probe_every"), POSITIVE),
    **dict.fromkeys(("epochs_done", "seconds", "lr", "grad_clip", "divergence_factor"), AMOUNT),
    **dict.fromkeys(("optim.weight_decay", "optim.eps", "schedule.gamma"), AMOUNT),
    **dict.fromkeys(("split.validation", "split.test", "label_smoothing", "optim.momentum"), Number(high=1)),
    **dict.fromkeys(("optim.beta1", "optim.beta2", "schedule.warmup", "schedule.final"), Number(high=1)),
    **dict.fromkeys(("schedule.start", "schedule.peak"), Number(high=1)),
    **dict.fromkeys(("drop_last", "optim.nesterov", "optim.decay_norm", "optim.decay_bias"), BOOLS),
}
"""By column of runs.csv; all other columns hold any text."""

SERIES_RULES: dict[str, Number] = {
    "step": STEP,
    "examples": COUNT,
    **dict.fromkeys(("epoch", "lr"), AMOUNT),
    **dict.fromkeys(ACCURACIES, SHARE),
    **dict.fromkeys((*LOSSES, "value"), LOSS),
}
"""By column of metrics.csv and probes.csv."""

REQUIRED = ("status", "step")
"""Columns without missing values."""


def fault(column: str, cell: str, rule: Rule) -> str | None:
    """The words for what a cell may hold if it holds something else; None for one that is right."""
    if cell == "" and column not in REQUIRED:
        return None
    if isinstance(rule, Number):
        return None if rule.holds(cell) else rule.allowed
    return None if cell.lower() in rule else nearest(cell, rule)


def first_fault(rows: Iterable[Mapping[str, str]], rules: Mapping[str, Rule]) -> str | None:
    """Name the first cell that holds what it must not, with its run and what is allowed; None if there is none."""
    right: set[tuple[str, str]] = set()
    for row in rows:
        for column in rules.keys() & row.keys():
            if (column, row[column]) in right:
                continue
            if allowed := fault(column, row[column], rules[column]):
                return f"{column}={row[column]!r:.60} of run {row['run_id']:.60}: {allowed}"
            right.add((column, row[column]))
    return None
