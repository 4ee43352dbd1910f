"""A study from its YAML file: every key known, every value of its type, all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bnbench.errors import InvalidRequest, nearest
from bnbench.study.checks import study_problems
from bnbench.study.definition import ONLY_CELL, Scale, ScaleName, Study, StudyClaim
from bnbench.study.questions import question_names, question_tree
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

SHARED = ("cells", "fixed", "alone", "scales", "not_tested")
"""Entries of a question that a study which refers to it has as well, unless it holds others."""
READ = ("measure", "cells", "contrast", "smallest_effect")
"""Entries of a reading that a claim which refers to it has as well, unless it holds others."""


def read_study(path: Path) -> Study:
    """The study in a file; it goes by the file's name.

    Raises:
        InvalidRequest: listing all that is wrong with the file.
    """
    problems: list[str] = []
    study = _study(path.stem, load_yaml(path), problems)
    if study is not None and not problems:
        problems += study_problems(study)
    if problems or study is None:
        raise InvalidRequest(f"{path}: {problem}" for problem in problems)
    return study


def _study(name: str, tree: Any, problems: list[str]) -> Study | None:
    if not isinstance(tree, dict):
        problems.append(f"must hold {', '.join(keys_of(Study))}")
        return None
    tree = {"cells": {ONLY_CELL: []}, "fixed": [], **_with_question(tree, problems)}
    claims = {key: _claim(key, value, problems) for key, value in read_mapping("claims", tree, problems).items()}
    scales = {
        checked(ScaleName, f"scales.{key}", key, problems): read_record(Scale, f"scales.{key}", value, {}, problems)
        for key, value in read_mapping("scales", tree, problems).items()
    }
    known = {
        "name": name,
        "changes": (),
        "claims": tuple(claims.values()),
        "scales": scales,
        **{part: read_settings(part, read_mapping(part, tree, problems), problems) for part in ("arms", "cells")},
    }
    return read_record(Study, "", without(known, tree), known, problems)


def _with_question(tree: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """A study's tree with what the question that it refers to says in its place."""
    if "question" not in tree:
        return tree
    tree = dict(tree)
    name = tree.pop("question")
    if name not in question_names():
        problems.append(f"question={name}: there is no such question; {nearest(str(name), question_names())}")
        return tree
    question = question_tree(name)
    claims, readings = tree.get("claims"), question["readings"]
    if isinstance(claims, dict):
        tree["claims"] = {key: _with_reading(key, claim, readings, problems) for key, claim in claims.items()}
    return {**{key: question[key] for key in SHARED if key in question}, **tree}


def _with_reading(key: Any, claim: Any, readings: dict[str, Any], problems: list[str]) -> Any:
    if not isinstance(claim, dict) or "reading" not in claim:
        return claim
    claim = dict(claim)
    name = claim.pop("reading")
    if name not in readings:
        problems.append(f"claims.{key}.reading={name}: {nearest(str(name), list(readings))}")
        return claim
    return {**{part: readings[name][part] for part in READ if part in readings[name]}, **claim}


def _claim(name: Any, tree: Any, problems: list[str]) -> StudyClaim | None:
    where = f"claims.{name}"
    if not isinstance(tree, dict):
        problems.append(f"{where}: must hold {', '.join(keys_of(StudyClaim))}")
        return None
    known = {"name": str(name)}
    if "measure" in tree:
        known["measure"] = read_measure(f"{where}.measure", tree["measure"], problems)
    return read_record(StudyClaim, where, without(known, tree), known, problems)
