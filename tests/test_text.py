"""Nouns in the number of their count, in every message that counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data.split import _require
from bnbench.errors import InvalidRequest
from bnbench.stats import decide
from bnbench.study.tuning import _problem
from bnbench.text import duration, plural


@pytest.mark.parametrize(
    ("number", "noun", "says"),
    [
        (0, "run", "0 runs"),
        (1, "run", "1 run"),
        (1200, "completed run", "1,200 completed runs"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
    ],
)
def test_a_noun_agrees_with_its_count(number: int, noun: str, says: str):
    assert plural(number, noun) == says


def _refusal(part: torch.Tensor, total: int) -> str:
    with pytest.raises(InvalidRequest) as caught:
        _require(part, ("a", "b"), "split.test=0.1", "the test", total)
    return str(caught.value)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (lambda: decide([math.nan], 1, np.random.default_rng(0)).reason, "1 of 1 replicate without"),
        (lambda: decide([math.inf], 1, np.random.default_rng(0)).reason, "1 of 1 difference infinite"),
        (lambda: decide([1.0], 1, np.random.default_rng(0)).reason, "there is 1"),
        (lambda: compose_request(["seeds=1"], components()).problems[0], "For 1 seed write 'seed=range(1)'"),
        (lambda: compose_request(["seeds=2"], components()).problems[0], "For 2 seeds write 'seed=range(2)'"),
        (lambda: _problem(("a", "c"), {"c": [1.0]}, {}, {("a", "c"): 1}, 10), "1 tuning run of a has no result"),
        (lambda: _problem(("a", "c"), {"c": [1.0]}, {}, {("a", "c"): 2}, 10), "2 tuning runs of a have no result"),
        (lambda: _problem(("a", "c"), {"c": [1.0]}, {}, {}, 10), "all tuning runs of a have no result"),
        (lambda: _refusal(torch.tensor([0]), 3), "of 3 examples, 1 is for the test, none of class 'b'"),
    ],
)
def test_a_message_counts_one_as_one(said, says: str):
    assert says in said()


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_is_rounded_before_it_is_divided(seconds: float, says: str):
    assert duration(seconds) == says
