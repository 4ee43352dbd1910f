"""A study as data: claims, the arms and cells that they compare, and the amount of training at each scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bnbench.study.measure import Measure

ScaleName = Literal["smoke", "cpu", "gpu"]
Contrast = Literal["difference", "ratio"]
Direction = Literal["higher", "lower"]

ONLY_CELL = "all"
"""The cell of a study that has no cells."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An amount of training.

    Attributes:
        lr: learning rates that are tried in every cell, ascending; with a single one nothing is tuned.
        seeds: replicates: each divides the data anew, chooses its learning rates, and trains one reporting run per arm
            and cell, so that the verdict rests on independent repetitions of all that varies.
        tuning_seeds: runs of each replicate at each learning rate, by which it chooses; their seeds are their own.
        overrides: settings that take the place of the study's own at this scale.
    """

    lr: tuple[float, ...]
    seeds: int
    tuning_seeds: int = 1
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyClaim:
    """One sentence that can be true or false, and the comparison that decides it.

    Attributes:
        says: the claim in one sentence.
        measure: what is read off each run.
        compare: the arm that the claim is about, and the one that it is compared with.
        cells: where they are compared; of two cells the difference in the first less the one in the second.
        contrast: ``difference`` of the measure, or ``ratio``.
        expect: whether the arm's measure is claimed to be higher or lower.
        smallest_effect: the least that is worth calling an effect: a difference, or a ratio above 1.
        published: what the source reports.
    """

    name: str
    says: str
    measure: Measure
    compare: tuple[str, ...]
    expect: Direction
    smallest_effect: float
    cells: tuple[str, ...] = (ONLY_CELL,)
    contrast: Contrast = "difference"
    published: str = ""

    @property
    def groups(self) -> list[tuple[str, str]]:
        """The (arm, cell) pairs that the claim rests on."""
        return [(arm, cell) for cell in self.cells for arm in self.compare]


@dataclass(frozen=True, slots=True)
class Study:
    """A design and the claims that it decides.

    Attributes:
        source: papers.
        arms: by name, the settings that make an arm.
        cells: by name, the settings that all arms have in a cell.
        fixed: settings of all runs.
        paired: whether the arms of a replicate share its seeds; without, each arm has seeds of its own.
        alone: whether one step is made at a time, as measurements of time need it: the arms of a seed side by side.
        not_tested: what the study leaves open on purpose.
        family: the name of a set of studies whose claims were declared together; p-values are adjusted for all of them,
            however many are carried out. Without, for the claims of this study.
        by_name: whether it is carried out only where it is named, because it takes long: ``--all`` leaves it out.
        changes: settings of a user that took the place of the study's own; no part of its file.
    """

    name: str
    source: str
    arms: Mapping[str, tuple[str, ...]]
    cells: Mapping[str, tuple[str, ...]]
    fixed: tuple[str, ...]
    claims: tuple[StudyClaim, ...]
    scales: Mapping[ScaleName, Scale]
    not_tested: tuple[str, ...]
    paired: bool = True
    alone: bool = False
    family: str = ""
    by_name: bool = False
    changes: tuple[str, ...] = ()
