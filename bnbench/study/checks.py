"""Rules that hold between the parts of a study."""

from __future__ import annotations

from collections.abc import Iterator

from bnbench.errors import nearest
from bnbench.schema.convert import shown
from bnbench.study.definition import Scale, Study, StudyClaim
from bnbench.study.design import MOST_REPLICATES, MOST_TUNING_SEEDS

OWN_KEYS = ("lr", "seed", "probes", "device")
"""Settings that a study makes itself."""
AMOUNTS = {"seeds": MOST_REPLICATES, "tuning_seeds": MOST_TUNING_SEEDS}
"""The most of each amount: more would be seeds of something else."""


def study_problems(study: Study) -> list[str]:
    """All that is wrong with a study whose parts have the right types, one sentence each."""
    problems = [problem for claim in study.claims for problem in _claim_problems(study, claim)]
    for name, scale in study.scales.items():
        problems += [f"scales.{name}.{problem}" for problem in _scale_problems(scale)]
    texts = {
        "fixed": study.fixed,
        **{f"arms.{name}": arm for name, arm in study.arms.items()},
        **{f"cells.{name}": cell for name, cell in study.cells.items()},
        **{f"scales.{name}.overrides": scale.overrides for name, scale in study.scales.items()},
    }
    problems += [problem for where, settings in texts.items() for problem in settings_problems(where, settings)]
    return problems


def _claim_problems(study: Study, claim: StudyClaim) -> Iterator[str]:
    where = f"claims.{claim.name}"
    if len(claim.compare) != 2 or claim.compare[0] == claim.compare[1]:
        yield f"{where}.compare={shown(claim.compare)}: must be two arms, first the one that the claim is about"
    if len(claim.cells) not in (1, 2) or len(set(claim.cells)) != len(claim.cells):
        yield f"{where}.cells={shown(claim.cells)}: must be one cell, or two different ones to compare"
    yield from (
        f"{where}.compare={arm}: {nearest(arm, [*study.arms])}" for arm in claim.compare if arm not in study.arms
    )
    yield from (
        f"{where}.cells={cell}: {nearest(cell, [*study.cells])}" for cell in claim.cells if cell not in study.cells
    )
    least = 1.0 if claim.contrast == "ratio" else 0.0
    if not least < claim.smallest_effect < float("inf"):
        yield f"{where}.smallest_effect={claim.smallest_effect:g}: must be above {least:g} for a {claim.contrast}"


def _scale_problems(scale: Scale) -> Iterator[str]:
    yield from rate_problems(scale.lr)
    yield from (problem for key in AMOUNTS for problem in amount_problems(key, getattr(scale, key)))


def rate_problems(rates: tuple[float, ...]) -> Iterator[str]:
    """Complaints about the learning rates of a scale or a task."""
    if not rates or list(rates) != sorted(set(rates)) or rates[0] <= 0:
        yield f"lr={shown(rates)}: must be learning rates above zero, ascending, such as [0.01,0.1]"


def amount_problems(key: str, amount: object) -> Iterator[str]:
    """Complaints about a number of replicates or tuning seeds."""
    if type(amount) is not int or not 1 <= amount <= AMOUNTS[key]:
        yield f"{key}={shown(amount)}: must be a whole number from 1 to {AMOUNTS[key]}"


def settings_problems(where: str, settings: tuple[str, ...]) -> Iterator[str]:
    """Complaints about texts that are no settings, and about those that a study makes itself."""
    for setting in settings:
        key, equals, _ = setting.partition("=")
        if not equals:
            yield f"{where}: {setting!r} must be a setting such as norm=batch"
        if key in OWN_KEYS:
            yield f"{where}: {setting!r}: {key} is set by the study itself; leave it out"
