"""Code that is compiled beside training, and taken by the stacks that begin when it is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from bnbench.isolation import plugin_arms
from bnbench.launch import BackgroundTask, NoWorkers
from bnbench.notices import notice
from bnbench.plan import Division, Execution, Inquiry, Question, Refusal
from bnbench.plan.readiness import BRISK, CompileJob, CompileReply, compile_source, reply
from bnbench.session.plan import Plan
from bnbench.spec import RunSpec, stack_key
from bnbench.tasks import Task


@contextmanager
def compiling() -> Iterator[None]:
    """Compile the C code that all networks share beside a block of many plans, each of which ends before that is done.

    Raises:
        NoWorkers: no process can be started.
    """
    job = CompileJob(Inquiry(compile_source, {}, None, Path()), BRISK)
    with closing(BackgroundTask(reply, job)):
        yield


class Preparation:
    """A division of runs that is found, with all code compiled, in one process after another beside this one.

    Args:
        plan: of the runs.
        question: comes to a :class:`Division`.
        specs: by run_id, those that compiled code may train.
        niceness: of the processes.
    """

    def __init__(self, plan: Plan, question: Question, specs: Mapping[str, RunSpec], niceness: int) -> None:
        self._waiting = deque(CompileJob(inquiry, niceness) for inquiry in _inquiries(plan, question, specs))
        self._process: BackgroundTask | None = None
        self._found: dict[str, Execution] = {}
        self._sizes: dict[str, float] = {}
        self._next()

    def wait(self) -> Division:
        """The division, once it is found; without the runs for which that failed."""
        while self._process is not None:
            self._look(None)
        return Division(self._found, self._sizes)

    def current(self, task: Task) -> Task:
        """A task as it is to be trained if it begins now: by compiled code if that is ready."""
        while self._process is not None and self._look(0.0):
            pass
        later = self._found.get(stack_key(task.specs[0]))
        if not task.execution.is_unready or later is None:
            return task
        if later.engine == "native":
            return replace(task, execution=replace(later, lanes=task.execution.lanes))
        return replace(task, execution=replace(task.execution, reasons=later.reasons))

    def close(self) -> None:
        """End what is not done; what was noticed by then is told."""
        if self._process is not None:
            self._look(0.0)
        if self._process is not None:
            self._process.close()
            self._process = None

    def _look(self, seconds: float | None) -> bool:
        """Take the answer of a process, waited for so many seconds at most; True if it is there."""
        assert self._process is not None, "somebody works"
        done = self._process.done(seconds)
        if done is None:
            return False
        self._process.close()
        self._process = None
        if isinstance(done.value, CompileReply):
            for text in done.value.notices:
                notice(text)
            if not isinstance(done.value.value, Refusal):
                self._found |= done.value.value.executions
                self._sizes |= done.value.value.sizes
        self._next()
        return True

    def _next(self) -> None:
        """Let the next process begin; a machine that lets none be started trains by torch."""
        if self._waiting:
            try:
                self._process = BackgroundTask(reply, self._waiting.popleft())
            except NoWorkers:
                self._waiting.clear()


def _inquiries(plan: Plan, question: Question, specs: Mapping[str, RunSpec]) -> Iterator[Inquiry]:
    """The question about built-in components, then about each arm of a user's: none spoils another one's process."""
    if built_in := {identity: spec for identity, spec in specs.items() if spec.plugin is None}:
        yield Inquiry(question, built_in, None, plan.data)
    for arm in plugin_arms(specs):
        yield Inquiry(question, arm, plan.components.plugin, plan.data)
