"""A comparison as it is asked for: its arms, questions and amounts, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnbench.comparison.arms import Arm, default_rivals, read_arms
from bnbench.comparison.design import Asked, ask, pairs_of
from bnbench.comparison.tasks import load_tasks, varied_questions
from bnbench.errors import InvalidRequest
from bnbench.stats import ALPHA, detectable_effect, most_claims, replicates_needed
from bnbench.study import Place, ScaleName, check_places, check_scale
from bnbench.study.forecasts import TRIAL, lacking_replicates
from bnbench.study.questions import load_questions, question_names


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, and on what.

    Attributes:
        arms: all of them, those that are asked about first.
        asked: the questions.
    """

    arms: tuple[Arm, ...]
    asked: tuple[Asked, ...]
    scale: ScaleName

    @property
    def claims(self) -> int:
        """How many there are; p-values are adjusted for all of them."""
        return sum(len(one.study.claims) for one in self.asked)

    @property
    def replicates(self) -> int:
        """The fewest that a question has."""
        return min(one.study.scales[self.scale].seeds for one in self.asked)


def read_comparison(
    words: Sequence[str],
    against: Sequence[str],
    tasks: Sequence[str],
    scale: str,
    place: Place,
    every_pair: bool = False,
) -> Comparison:
    """A comparison from the words of a command.

    Args:
        words: arms, and settings of all runs; ``rms,dyt`` are two arms.
        against: in the same way the arms that each is compared with; without any, those of :data:`AGAINST`.
        tasks: names of tasks, or YAML files that hold one.
        every_pair: compare all arms with each other: those of ``against`` too, and those of :data:`AGAINST` only where
            there is but one arm and nothing else is named.

    Raises:
        BnbenchError: listing what is wrong.
    """
    settings = [word for word in words if _is_setting(word)]
    texts = _each([word for word in words if word not in settings])
    against = _each(against)
    if not texts:
        raise InvalidRequest(["name the norm that is to be compared, as in bnbench compare rms"])
    parts = place.components
    every = read_arms([*texts, *against], parts)
    arms, rivals = every[: len(texts)], every[len(texts) :]
    if not rivals and not (every_pair and len(arms) > 1):
        rivals = default_rivals(every, parts)
    scale_name = check_scale(scale, [])
    questions = load_questions(question_names())
    pairs = pairs_of(arms, rivals, every_pair)
    asked = ask(questions, [*arms, *rivals], pairs, scale_name)
    _check_arms([*arms, *rivals], asked)
    asked = varied_questions(asked, load_tasks(tasks, parts), settings, parts)
    check_places([one.study for one in asked], scale_name, place)
    comparison = Comparison((*arms, *rivals), tuple(asked), scale_name)
    _check_replicates(comparison)
    return comparison


def _each(words: Sequence[str]) -> list[str]:
    """Arms one by one: those without options may be listed with commas, as values are elsewhere."""
    return [arm for word in words for arm in _listed(word)]


def _listed(word: str) -> list[str]:
    return [word] if set(" =") & set(word.removeprefix("norm=")) else word.split(",")


def _is_setting(word: str) -> bool:
    """``seeds=10`` is a setting; ``mine``, ``norm=mine`` and ``group groups=8`` are arms."""
    return "=" in word and not word.startswith("norm=") and " " not in word.strip()


def _check_arms(arms: Sequence[Arm], asked: Sequence[Asked]) -> None:
    """Refuse an arm that sets what a question varies: it would be compared with itself.

    Raises:
        InvalidRequest: all such settings.
    """
    problems = [
        f"arm {arm.name!r}: {key} is varied by the question {one.name}; leave it out"
        for arm in arms
        for one in asked
        for key in sorted({setting.partition("=")[0] for setting in arm.settings} & _varied_keys(one))
    ]
    if problems:
        raise InvalidRequest(problems)


def _varied_keys(asked: Asked) -> set[str]:
    """The settings in which the two cells of a reading differ."""
    pairs = [reading.cells for reading in asked.readings if len(reading.cells) == 2]
    cells = [[set(asked.study.cells[cell]) for cell in pair] for pair in pairs]
    return {setting.partition("=")[0] for one, other in cells for setting in one ^ other}


def _check_replicates(comparison: Comparison) -> None:
    """Refuse a comparison that could decide nothing whatever its runs say.

    Raises:
        InvalidRequest: there are too few replicates.
    """
    if comparison.scale == TRIAL:
        return
    most, lack = most_claims(ALPHA), lacking_replicates(comparison.replicates, comparison.claims)
    if comparison.claims > most:
        lack = f"{comparison.claims:,} claims that are adjusted for each other: at most {most:,} can be decided"
    if lack:
        raise InvalidRequest([f"{lack}; fewer arms have fewer claims"])


def power_note(comparison: Comparison) -> str:
    """The difference that the replicates find, and how many it takes to find half of it."""
    if comparison.scale == TRIAL:
        return f"the scale {TRIAL} shows that a comparison runs; it has too few replicates to decide anything"
    alpha = ALPHA / comparison.claims
    effect = detectable_effect(comparison.replicates, alpha)
    return (
        f"{comparison.replicates} replicates find a difference of {effect:.2g} standard deviations in four of five"
        f" comparisons; half of it takes seeds={replicates_needed(effect / 2, alpha)}"
    )
