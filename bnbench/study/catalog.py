"""The studies that there are: files of conf/study, and files of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bnbench.errors import BnbenchError, InvalidRequest, nearest
from bnbench.paths import conf_dir
from bnbench.study.definition import ScaleName, Study
from bnbench.study.parser import read_study

ENDING = ".yaml"
SCALES: tuple[ScaleName, ...] = get_args(ScaleName)


def names() -> list[str]:
    """The studies that come with bnbench, in alphabetical order."""
    return sorted(path.stem for path in (conf_dir() / "study").glob(f"*{ENDING}"))


def names_of_all() -> list[str]:
    """The studies that ``--all`` stands for: those that need not be named."""
    return [study.name for study in load(names()) if not study.by_name]


def load(words: Sequence[str]) -> list[Study]:
    """Studies by name, or by a file that ends in .yaml.

    Raises:
        InvalidRequest: listing all that is wrong with all of them.
    """
    studies, problems = [], []
    for name in dict.fromkeys(words):
        try:
            studies.append(read_study(_path(name)))
        except BnbenchError as error:
            problems.append(str(error))
    twice = {study.name for study in studies if [other.name for other in studies].count(study.name) > 1}
    problems += [f"study {name}: two files have this name; rename one" for name in sorted(twice)]
    if problems:
        raise InvalidRequest(problems)
    return studies


def _path(name: str) -> Path:
    if name.endswith(ENDING):
        return Path(name)
    if name not in names():
        raise InvalidRequest([f"study {name!r}: there is no such study; {nearest(name, names())}, or a file {ENDING}"])
    return conf_dir() / "study" / f"{name}{ENDING}"


def check_scale(name: str, studies: Sequence[Study]) -> ScaleName:
    """A scale, which all of the studies must have.

    Raises:
        InvalidRequest: it is none, or one of them does not have it.
    """
    known = [scale for scale in SCALES if scale == name]
    if not known:
        raise InvalidRequest([f"scale {name}: there is no such scale; {nearest(name, SCALES)}"])
    without = [study for study in studies if known[0] not in study.scales]
    if without:
        raise InvalidRequest(
            f"study {one.name}: has no scale {name}; it has {', '.join(one.scales)}" for one in without
        )
    return known[0]


def family_size(study: Study) -> int:
    """The claims that were declared together with those of a study, its own included.

    They are those of all studies that come with bnbench and name the same family, whichever are carried out. A study
    that names none, or was changed, is a family by itself.
    """
    if not study.family or study.changes:
        return len(study.claims)
    shipped = [other for other in load(names()) if other.family == study.family and other.name != study.name]
    return len(study.claims) + sum(len(other.claims) for other in shipped)
