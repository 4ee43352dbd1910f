"""The tasks that questions can be asked on: files of conf/task, and files of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bnbench.comparison.design import Asked, claims_of
from bnbench.comparison.targets import at_target
from bnbench.errors import InvalidRequest, nearest
from bnbench.paths import conf_dir, expanded
from bnbench.schema import Known
from bnbench.schema.convert import shown
from bnbench.study import varied
from bnbench.study.checks import rate_problems, settings_problems
from bnbench.study.records import keys_of, load_yaml, read_record

ENDINGS = (".yaml", ".yml")


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

    def value(self, key: str) -> str:
        """What the settings say of a key; empty where the question's own counts."""
        return next((text.partition("=")[2] for text in self.settings if text.startswith(f"{key}=")), "")


def task_names() -> list[str]:
    """The tasks that come with bnbench, in alphabetical order."""
    return sorted(path.stem for path in (conf_dir() / "task").glob("*.yaml"))


def load_tasks(words: Sequence[str], parts: Known) -> list[Task]:
    """Tasks by name, or by a file that ends in .yaml, which gives the task its name.

    Raises:
        InvalidRequest: there are none of these names, or their files are wrong; all problems are listed.
    """
    problems: list[str] = []
    files = {word: _file(word, problems) for word in dict.fromkeys(words)}
    found = {word: _read(word, file, parts, problems) for word, file in files.items() if file is not None}
    tasks = {word: task for word, task in found.items() if task is not None}
    problems += _alike(tasks)
    if problems:
        raise InvalidRequest(problems)
    return list(tasks.values())


def _file(word: str, problems: list[str]) -> Path | None:
    if word.endswith(ENDINGS):
        return expanded(word, "--on")
    if word in task_names():
        return conf_dir() / "task" / f"{word}.yaml"
    problems.append(f"--on {word}: there is no such task; {nearest(word, task_names())}, or a file .yaml")
    return None


def _read(word: str, file: Path, parts: Known, problems: list[str]) -> Task | None:
    """The task in a file; None, and what is wrong with it."""
    try:
        tree = load_yaml(file)
    except InvalidRequest as error:
        problems += [f"--on {problem}" for problem in error.problems]
        return None
    slips: list[str] = []
    if isinstance(tree, dict):
        task = read_record(Task, "", tree, {"name": file.stem}, slips)
        slips += [] if task is None else _problems(task, parts)
    else:
        task, known = None, ", ".join(key for key in keys_of(Task) if key != "name")
        slips.append(f"must hold {known}, received {shown(tree)}")
    problems += [f"--on {word}: {slip}" for slip in slips]
    return task if not slips else None


def _problems(task: Task, parts: Known) -> list[str]:
    """All that is wrong with a task whose fields have the right types."""
    problems = list(settings_problems("settings", task.settings))
    if not 0 < task.target <= 1:
        problems.append(f"target={task.target:g}: must be an accuracy above 0 and at most 1, such as 0.9")
    problems += rate_problems(task.lr) if task.lr else ()
    if not problems:
        try:
            varied([], task.settings, parts)
        except InvalidRequest as error:
            problems += [f"settings: {problem}" for problem in error.problems]
    return problems


def _alike(tasks: Mapping[str, Task]) -> Iterator[str]:
    """Complaints about tasks of one name, or with the same data and network, whose runs are those of one sweep."""
    first: dict[object, str] = {}
    for word, task in tasks.items():
        for key, what in ((task.name, "has the name"), (frozenset(task.settings), "has the settings")):
            other = first.setdefault(key, word)
            if other != word:
                yield f"--on {word}: {what} of --on {other}; each task is to be another one"
                break


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
            one = question if task is None else _on_task(question, task, parts)
            settings = [*(_settings(question, task) if task is not None else ()), *overrides]
            (study,) = varied([one.study], settings, parts) if settings else [one.study]
            spread.append(replace(one, study=study))
    return spread


def _settings(asked: Asked, task: Task) -> list[str]:
    """The settings of a task that take the place of a question's own."""
    keeps = asked.question.keeps
    return [
        text for text in task.settings if not any(f"{text.partition('=')[0]}.".startswith(f"{key}.") for key in keeps)
    ]


def _on_task(asked: Asked, task: Task, parts: Known) -> Asked:
    """A question with the target of a task and its learning rates.

    What a scale sets for data of its own does not count on others.

    Raises:
        InvalidRequest: an arm or a cell sets what the task sets.
    """
    try:
        varied([asked.study], task.settings, parts)
    except InvalidRequest as error:
        raise InvalidRequest(f"--on {task.name}: {problem}" for problem in error.problems) from None
    readings = tuple(at_target(reading, task.target) for reading in asked.readings)
    middle = task.lr[len(task.lr) // 2 :][:1]
    scales = {}
    for name, scale in asked.study.scales.items():
        rates = (task.lr if len(scale.lr) > 1 else middle) if task.lr else scale.lr
        data = next((text for text in scale.overrides if text.startswith("dataset=")), None)
        overrides = scale.overrides if data in (None, f"dataset={task.value('dataset')}") else ()
        scales[name] = replace(scale, lr=rates, overrides=overrides)
    study = replace(asked.study, claims=claims_of(readings, asked.pairs), scales=scales)
    return replace(asked, readings=readings, study=study, task=task.name)
