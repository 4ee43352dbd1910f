"""The tasks that questions can be asked on: files of conf/task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bnbench.comparison.design import Asked, claims_of
from bnbench.comparison.targets import at_target
from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import conf_dir
from bnbench.schema import Known
from bnbench.study import varied
from bnbench.study.records import load_yaml, read_record


@dataclass(frozen=True, slots=True)
class Task:
    """Data and a network.

    Attributes:
        about: both in a few words.
        settings: that take the place of a question's own.
        target: the validation accuracy that counts as trained.
        lr: learning rates in place of a question's own, ascending; where a question tries a single one, the middle one.
    """

    name: str
    about: str
    settings: tuple[str, ...]
    target: float
    lr: tuple[float, ...] = ()


def task_names() -> list[str]:
    """The tasks that there are, in alphabetical order."""
    return sorted(path.stem for path in (conf_dir() / "task").glob("*.yaml"))


def load_tasks(names: Sequence[str]) -> list[Task]:
    """Tasks by name.

    Raises:
        InvalidRequest: there are none of these names, or their files are wrong; all problems are listed.
    """
    problems: list[str] = []
    known = task_names()
    problems += [f"--on {name}: there is no such task; {nearest(name, known)}" for name in names if name not in known]
    tasks = [
        read_record(Task, "", load_yaml(conf_dir() / "task" / f"{name}.yaml"), {"name": name}, problems)
        for name in dict.fromkeys(names)
        if name in known
    ]
    if problems:
        raise InvalidRequest(problems)
    return [task for task in tasks if task is not None]


def varied_questions(
    asked: Sequence[Asked], tasks: Sequence[Task], overrides: Sequence[str], parts: Known
) -> list[Asked]:
    """The questions with settings of the user: those that can be asked on any task once per task.

    Raises:
        InvalidRequest: a setting is wrong, or an arm, a cell or a task sets the same thing.
    """
    spread = []
    for question in asked:
        for task in tasks if question.question.on_tasks and tasks else [None]:
            one = question if task is None else _on_task(question, task)
            settings = [*(task.settings if task is not None else ()), *overrides]
            (study,) = varied([one.study], settings, parts) if settings else [one.study]
            spread.append(replace(one, study=study))
    return spread


def _on_task(asked: Asked, task: Task) -> Asked:
    """A question with the target of a task and its learning rates."""
    readings = tuple(at_target(reading, task.target) for reading in asked.readings)
    middle = task.lr[len(task.lr) // 2 :][:1]
    scales = {
        name: replace(scale, lr=task.lr if len(scale.lr) > 1 else middle) if task.lr else scale
        for name, scale in asked.study.scales.items()
    }
    study = replace(asked.study, claims=claims_of(readings, asked.pairs), scales=scales)
    return replace(asked, readings=readings, study=study, task=task.name)
