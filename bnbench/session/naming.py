"""The name of a sweep to which nobody gave one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

from bnbench.spec import RunSpec

MOST_LETTERS = 30
"""Letters of a model or a dataset in a name, which may be typed again."""


def free_name(specs: Sequence[RunSpec], results: Path, today: date) -> str:
    """A name that is not taken: ``mlp-digits-2026-11-26``, then ``mlp-digits-2026-11-26-2``.

    Several models or datasets are counted: ``3-models-digits-2026-11-26``.

    Args:
        results: the folder of all sweeps; whatever is there under a name takes it.
    """
    models = dict.fromkeys(str(spec.model.options.get("name", spec.model.name)) for spec in specs)
    datasets = dict.fromkeys(spec.dataset.name for spec in specs)
    name = f"{_one_of(models, 'models')}-{_one_of(datasets, 'datasets')}-{today:%Y-%m-%d}".lstrip("-")
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if not os.path.lexists(results / free))


def _one_of(names: Collection[str], plural: str) -> str:
    if len(names) != 1:
        return f"{len(names)}-{plural}"
    (name,) = names
    return "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in name)[:MOST_LETTERS]
