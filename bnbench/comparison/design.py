"""From arms and questions to studies: each question is a study whose claims compare pairs of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnbench.comparison.arms import Arm
from bnbench.study import ScaleName, Study, StudyClaim
from bnbench.study.questions import Question, Reading

Pair = tuple[str, str]
"""The names of the arm that is asked about, and of the one that it is compared with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is asked of the arms of a comparison.

    Attributes:
        readings: those of the question that are compared, with the target of the task.
        study: a claim per reading and pair, in this order; its sweep is that of the study of the same name, so that
            both share runs.
        task: on which it is asked; empty for the data and network of the question.
    """

    question: Question
    readings: tuple[Reading, ...]
    pairs: tuple[Pair, ...]
    study: Study
    task: str = ""

    @property
    def name(self) -> str:
        """Tells it from the others of a comparison."""
        return f"{self.question.name} on {self.task}" if self.task else self.question.name

    def head(self, reading: Reading) -> str:
        """What is read, and on which task where one was named, in a few words."""
        return f"{reading.short}, {self.task}" if self.task else reading.short

    @property
    def heads(self) -> str:
        """All that is read."""
        return "; ".join(map(self.head, self.readings))


def pairs_of(arms: Sequence[Arm], against: Sequence[Arm], every: bool = False) -> tuple[Pair, ...]:
    """Each arm with each that it is compared with; with ``every``, all pairs among all of them."""
    names, others = [arm.name for arm in arms], [arm.name for arm in against]
    if every:
        together = [*names, *others]
        return tuple((one, other) for place, one in enumerate(together) for other in together[place + 1 :])
    return tuple((one, other) for one in names for other in others)


def ask(questions: Sequence[Question], arms: Sequence[Arm], pairs: Sequence[Pair], scale: ScaleName) -> list[Asked]:
    """The questions of a comparison, those that studies alone ask left out."""
    asked = []
    for question in questions:
        readings = tuple(reading for reading in question.readings if reading.compared)
        if readings:
            asked.append(Asked(question, readings, tuple(pairs), _study(question, readings, arms, pairs, scale)))
    return asked


def _study(
    question: Question, readings: Sequence[Reading], arms: Sequence[Arm], pairs: Sequence[Pair], scale: ScaleName
) -> Study:
    used = {cell for reading in readings for cell in reading.cells}
    return Study(
        name=question.name,
        source="",
        arms={arm.name: arm.settings for arm in arms},
        cells={name: settings for name, settings in question.cells.items() if name in used},
        fixed=question.fixed,
        claims=claims_of(readings, pairs),
        scales={scale: question.scales[scale]},
        not_tested=question.not_tested,
        alone=question.alone,
    )


def claims_of(readings: Sequence[Reading], pairs: Sequence[Pair]) -> tuple[StudyClaim, ...]:
    """A claim per reading and pair, in this order."""
    return tuple(_claim(reading, pair) for reading in readings for pair in pairs)


def _claim(reading: Reading, pair: Pair) -> StudyClaim:
    arm, other = pair
    return StudyClaim(
        name=f"{reading.name}: {arm} against {other}",
        says=reading.asks,
        measure=reading.measure,
        compare=(arm, other),
        expect=reading.better,
        smallest_effect=reading.smallest_effect,
        cells=reading.cells,
        contrast=reading.contrast,
    )
