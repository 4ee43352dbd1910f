"""Asking questions: one after the other here, or two at a time, each by a process that plans and trains it.

A question is planned anew for each of its stages, on what the stage before has shown. Where only one is asked at a time
most cores wait meanwhile; beside another question they train.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from bnbench import session, store
from bnbench.comparison.design import Asked
from bnbench.comparison.ranks import Rank, ranks
from bnbench.comparison.values import replicate_values
from bnbench.environment import cores
from bnbench.errors import BnbenchError
from bnbench.launch import Line, local_programs
from bnbench.notices import heard, notice
from bnbench.study import Place, Row, ScaleName, Study, execute, run_study
from bnbench.study.scorecards import decided
from bnbench.text import listing, plural

Train = Callable[[Study, str, session.Plan], session.Summary]
"""As the runner of studies has it."""
Watch = Callable[[str, session.Progress], None]
"""Is shown what is trained, by the name of its question and stage, and how far it is."""
BESIDE = 2
"""Questions that are asked at a time."""
NEWS_SECONDS = 0.5
"""Seconds from one piece of news of a process to the next, but for failures."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a question.

    Attributes:
        plan: all its runs, with the middle of the grid for learning rates that are yet to be chosen.
        finished: runs that have a result already, here or elsewhere.
        impossible: sentences on the runs that cannot be trained.
        stages: in which its runs are trained: to tune, and to report.
        elsewhere: how many results will be taken over from other sweeps, by their name.
    """

    asked: Asked
    plan: session.Plan
    finished: int
    impossible: tuple[str, ...]
    stages: int
    elsewhere: Mapping[str, int]

    @property
    def runs(self) -> int:
        """Runs that are still to be trained."""
        return len(self.plan.pending)


@dataclass(frozen=True)
class Answer:
    """All that a question came to.

    Attributes:
        rows: its verdicts: a row per reading and pair, in this order.
        values: by reading, the number of each arm in each replicate.
        ranks: by reading, the place of each arm.
        failures: runs without a result.
        remarks: what cannot be asked of some arm, and what failed.
        taken_over: how many of its runs came from which other sweeps.
    """

    rows: list[Row]
    values: Mapping[str, pd.DataFrame]
    ranks: Mapping[str, Mapping[str, Rank]]
    failures: int
    remarks: tuple[str, ...]
    taken_over: Counter[str]


@dataclass(frozen=True)
class Terms:
    """The terms on which all questions of a comparison are asked.

    Attributes:
        family: claims that are adjusted for each other.
        jobs: worker processes; by default one per core or GPU.
    """

    scale: ScaleName
    place: Place
    family: int
    jobs: int | None = None

    @property
    def shared(self) -> int:
        """The worker processes of each of two questions: together a few more than cores, as one of them often plans."""
        return max(1, self.jobs // BESIDE) if self.jobs else cores() // BESIDE + 1


def answered(size: Size, terms: Terms, train: Train) -> Answer:
    """Train what a question lacks, and decide it."""
    folder = size.plan.folder
    findings = run_study(size.asked.study, terms.scale, terms.place, train)
    values = {reading.name: replicate_values(findings, reading) for reading in size.asked.readings}
    return Answer(
        decided(findings, terms.family),
        values,
        {reading.name: ranks(values[reading.name], reading) for reading in size.asked.readings},
        findings.failures,
        (*size.impossible, *(_failures(folder, findings.failed) if findings.failed else ())),
        store.taken_over(folder),
    )


def answers(found: Sequence[Size], terms: Terms, watch: Watch) -> Generator[tuple[Size, Answer], None, None]:
    """Ask questions and yield what they come to as it comes; closing the iterator stops what still trains.

    Two are asked at a time where there are several cores; those that measure time alone, after all others.

    Raises:
        BnbenchError: as :func:`run_study`.
        KeyboardInterrupt: the user stopped it.
    """
    beside = [] if _has_one_place(found, terms) else [size for size in found if not size.asked.study.alone]
    if len(beside) > 1:
        is_finished = not any(size.runs for size in found)
        with nullcontext() if is_finished else session.compiling():
            yield from _side_by_side(beside, terms, watch)
    for size in found if len(beside) <= 1 else [size for size in found if size.asked.study.alone]:
        yield size, answered(size, terms, _trainer(terms.jobs, watch))


def _has_one_place(found: Sequence[Size], terms: Terms) -> bool:
    """True if runs train in one place at a time, or on GPUs, which two questions would take from each other."""
    return (terms.jobs or cores()) == 1 or any(size.plan.device.type != "cpu" for size in found)


def _trainer(jobs: int | None, watch: Watch) -> Train:
    """Trains by so many workers, and shows that."""
    return lambda one, stage, plan: execute(one, plan, jobs, partial(watch, f"{one.name}, {stage}"))


def _side_by_side(found: Sequence[Size], terms: Terms, watch: Watch) -> Iterator[tuple[Size, Answer]]:
    """Ask each question by a process, two at a time."""

    def hear(news: tuple[str, session.Progress] | str) -> None:
        if isinstance(news, str):
            notice(news)
        else:
            watch(*news)

    tasks = [(size, terms) for size in found]
    with closing(local_programs(_answer_or_error, tasks, BESIDE, hear)) as ends:
        for end in ends:
            if isinstance(end.value, Exception):
                raise end.value
            if end.error is not None:
                raise BnbenchError(f"{found[end.index].asked.heads}: {end.error}; the same command goes on")
            yield found[end.index], end.value


def _answer_or_error(task: tuple[Size, Terms], line: Line) -> Answer | Exception:
    """What a question came to, or the error that is to be raised by who asked."""
    size, terms = task
    news = _News(line)
    try:
        with heard(line):
            return answered(size, terms, _trainer(terms.shared, news.watch))
    except BnbenchError as error:
        return BnbenchError(str(error))
    except OSError as error:
        return error
    except Exception:
        return RuntimeError(traceback.format_exc())


@dataclass
class _News:
    """Tells now and then how far a question is, and of each failure at once."""

    line: Line
    told: float = field(default=-NEWS_SECONDS)

    def watch(self, name: str, progress: session.Progress) -> None:
        """Take in how far it is."""
        failed = progress.last is not None and progress.last.status in store.FAILURES
        now = time.monotonic()
        if failed or now - self.told >= NEWS_SECONDS or progress.done == progress.total:
            self.told = now
            self.line((name, progress))


def _failures(folder: Path, failed: Collection[str]) -> Iterator[str]:
    """A sentence for each error of runs that failed, with the norms that it befell."""
    runs = store.load_runs(folder)
    for error, rows in runs[runs["run_id"].isin(list(failed))].groupby("error", sort=False):
        yield f"{plural(len(rows), 'run')} of {listing(list(rows['norm'].unique()))} failed: {error}"
