"""The questions that can be asked of any norm: files of conf/question, each with the runs it takes and what is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bnbench.errors import InvalidRequest
from bnbench.paths import conf_dir
from bnbench.study.definition import ONLY_CELL, Contrast, Direction, Scale, ScaleName
from bnbench.study.measure import Measure
from bnbench.study.records import (
    checked,
    keys_of,
    load_yaml,
    read_mapping,
    read_measure,
    read_record,
    read_settings,
    without,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One number that a question reads off the runs of an arm.

    Attributes:
        asks: the question in one sentence, with "it" for the arm.
        short: two or three words for the head of a table.
        measure: what is read off each run.
        better: whether more or less of it is better.
        smallest_effect: the least that is worth calling a difference: a difference, or a ratio above 1.
        cells: where it is read; of two cells the difference in the first less the one in the second.
        contrast: ``difference`` of two arms, or ``ratio``.
        compared: whether a comparison of norms asks it; the others are for studies alone.
    """

    name: str
    asks: str
    short: str
    measure: Measure
    better: Direction
    smallest_effect: float
    cells: tuple[str, ...] = (ONLY_CELL,)
    contrast: Contrast = "difference"
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """The runs that a question takes of each arm, and the numbers that are read off them.

    Attributes:
        cells: by name, the settings that all arms have in a cell.
        fixed: settings of all runs.
        alone: whether one step is made at a time, as measurements of time need it.
        not_tested: what the question leaves open on purpose.
        on_tasks: whether it can be asked on any data and network.
        keeps: its own settings, with all below them, on any task, as they are what it asks for.
    """

    name: str
    cells: Mapping[str, tuple[str, ...]]
    fixed: tuple[str, ...]
    readings: tuple[Reading, ...]
    scales: Mapping[ScaleName, Scale]
    not_tested: tuple[str, ...] = ()
    alone: bool = False
    on_tasks: bool = False
    keeps: tuple[str, ...] = ()


def question_names() -> list[str]:
    """The questions that there are, in alphabetical order."""
    return sorted(path.stem for path in (conf_dir() / "question").glob("*.yaml"))


@cache
def question_tree(name: str) -> dict[str, Any]:
    """A question's file as it was read."""
    tree: dict[str, Any] = load_yaml(conf_dir() / "question" / f"{name}.yaml")
    return tree


def load_questions(names: Sequence[str]) -> list[Question]:
    """Questions by name.

    Raises:
        InvalidRequest: listing all that is wrong with their files.
    """
    problems: list[str] = []
    questions = [_question(name, problems) for name in names]
    if problems:
        raise InvalidRequest(problems)
    return [question for question in questions if question is not None]


def _question(name: str, problems: list[str]) -> Question | None:
    slips: list[str] = []
    tree = {"cells": {ONLY_CELL: []}, "fixed": [], **question_tree(name)}
    readings = tuple(_reading(key, value, slips) for key, value in read_mapping("readings", tree, slips).items())
    scales = {
        checked(ScaleName, f"scales.{key}", key, slips): read_record(Scale, f"scales.{key}", value, {}, slips)
        for key, value in read_mapping("scales", tree, slips).items()
    }
    cells = read_settings("cells", read_mapping("cells", tree, slips), slips)
    known = {"name": name, "readings": readings, "scales": scales, "cells": cells}
    question = read_record(Question, "", without(known, tree), known, slips)
    problems += [f"question {name}: {slip}" for slip in slips]
    return question


def _reading(name: Any, tree: Any, problems: list[str]) -> Reading | None:
    where = f"readings.{name}"
    if not isinstance(tree, dict) or "measure" not in tree:
        problems.append(f"{where}: must hold {', '.join(keys_of(Reading))}")
        return None
    known = {"name": str(name), "measure": read_measure(f"{where}.measure", tree["measure"], problems)}
    return read_record(Reading, where, without(known, tree), known, problems)
