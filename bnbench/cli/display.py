"""The display of runs that train: live on a terminal, plain lines in a pipe."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bnbench import session, store
from bnbench.cli.planning import GOES_ON
from bnbench.cli.status import PLAIN_SECONDS, Status
from bnbench.config import GROUPS
from bnbench.console import plain_console
from bnbench.environment import cores
from bnbench.notices import Doubling
from bnbench.paths import shown_path
from bnbench.progress import line
from bnbench.spec import RunSpec, arm, flatten, run_id
from bnbench.text import duration, plural

if TYPE_CHECKING:
    from bnbench.training import Record

SHOWN_RUNS = 40
SHOWN_SWEEPS = 5


def show_plan(plan: session.Plan, name: str, full: bool = False) -> None:
    """Say what a sweep will do; ``full`` adds every factor and run."""
    console = plain_console(whole=True)
    request, known = plan.request, len(plan.known)
    new = len(set(plan.specs) - set(plan.known))
    if known and new:
        console.print(f"{name} extends a sweep: {plural(known, 'run')} there, {new} new")
    parts = [f"{name}: {plural(len(request.specs), 'run')}"]
    parts += [f"{len(plan.finished)} finished already"] if plan.finished else []
    parts += [f"{len(plan.stopped)} stopped at a rung"] if plan.stopped else []
    parts += [f"{len(plan.held_back)} failed earlier (--retry-failed)"] if plan.held_back else []
    parts += [f"{len(plan.impossible)} impossible"] if plan.impossible else []
    parts += [f"{request.excluded} excluded"] if request.excluded else []
    until = "" if plan.until is None else f" until epoch {plan.until}"
    console.print(", ".join([*parts, f"{len(plan.pending)} to train{until} on {plan.device}"]))
    if plan.taken_over:
        console.print(taken_over_line(plan.taken_over, "taken over"))
    for note in request.notes:
        console.print(f"note: {note}")
    for sentence in plan.infeasible:
        console.print(f"impossible: {sentence}")
    if not full:
        return
    console.print(_matrix(plan))
    if len(request.specs) > SHOWN_RUNS:
        console.print(f"... and {len(request.specs) - SHOWN_RUNS} more")


def taken_over_line(counts: Mapping[str, int], verb: str) -> str:
    """``1,320 of them are in other sweeps (study-convergence-cpu, small): taken over``."""
    total, names = sum(counts.values()), [*counts]
    names = names if len(names) <= SHOWN_SWEEPS else [*names[:SHOWN_SWEEPS], f"{len(names) - SHOWN_SWEEPS} more"]
    there = "is in another sweep" if total == 1 else "are in other sweeps"
    return f"{total:,} of them {there} ({', '.join(names)}): {verb}"


def estimated(seconds: float, workers: int) -> str:
    """``48 s with 2 of 2 cores (from a few measured steps)``."""
    return f"{duration(seconds)} with {workers} of {plural(cores(), 'core')} (from a few measured steps)"


def _matrix(plan: session.Plan) -> Table:
    rows = [flatten(spec) for spec in plan.specs.values()]
    factors = [column for column in dict.fromkeys(itertools.chain.from_iterable(rows)) if _is_factor(column, plan)]
    varying = [column for column in factors if any(row.get(column) != rows[0].get(column) for row in rows)]
    table = Table("run", *varying, "what happens", box=None, padding=(0, 2, 0, 0))
    finished = set(plan.finished)
    for identity, row in list(zip(plan.specs, rows, strict=True))[:SHOWN_RUNS]:
        action = (
            "train" if identity in plan.pending
            else f"skip ({plan.known[identity]})" if identity in finished
            else "impossible" if identity in plan.impossible
            else f"skip ({plan.known.get(identity)} earlier)"
        )  # fmt: skip
        table.add_row(identity, *("" if row.get(name) is None else str(row.get(name)) for name in varying), action)
    return table


def _is_factor(column: str, plan: session.Plan) -> bool:
    """An option that merely comes with another choice is no factor."""
    return column in plan.request.factors or column in GROUPS


class _Silence:
    """Says from which runs nothing comes: a line each time that the silence has doubled."""

    def __init__(self) -> None:
        self._doubling = Doubling()

    def tell(self, silent: session.Silent, console: Console) -> None:
        """Name the run that has been silent longest, and say how many others are; with none, begin anew."""
        if self._doubling.is_due(max(silent.values(), default=0.0)):
            first = max(silent, key=lambda spec: silent[spec])
            others = f" and {plural(len(silent) - 1, 'other run')}" if len(silent) > 1 else ""
            console.print(f"nothing from {arm(first)} seed={first.seed}{others} for {duration(silent[first])}")


COLLECTS = "the same command collects what they come to, --detach or not"


class SweepDisplay:
    """Progress of a sweep; a context manager.

    On a terminal it is shown live; in a pipe, or on one that cannot move its cursor, in a line now and then.

    Args:
        began: when the program began, on the clock of :func:`time.monotonic`; now by default.
        name: of what is trained, where many follow each other: in a pipe it begins each line, and nothing is said of
            what takes less than ten seconds.
        is_part: whether it is shown by another display on a terminal.
    """

    def __init__(self, began: float | None = None, name: str = "", is_part: bool = False) -> None:
        self._console = plain_console(whole=True)
        now = time.monotonic()
        self._began = now if began is None else began
        self._told = now if name else -math.inf
        self._name = name
        self._asked: tuple[float | None, float] = None, now
        self._silence = _Silence()
        self._status = Status()
        self._steered = self._console.is_terminal and not self._console.is_dumb_terminal
        shown = self._steered and not is_part
        self._live = Live(get_renderable=self.status, console=self._console, refresh_per_second=4) if shown else None

    def __enter__(self) -> SweepDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, progress: session.Progress) -> None:
        """Show how far the sweep is."""
        last = progress.last
        if last is not None and last.status in store.FAILURES:
            self._console.print(f"{last.status}: {describe(last.spec)} ({run_id(last.spec)}): {last.error}")
        self._silence.tell(progress.silent, self._console)
        if progress.left != self._asked[0]:
            self._asked = progress.left, time.monotonic()
        self._status.progress = progress
        if self._steered:
            return
        over = progress.done == progress.total
        now = time.monotonic()
        ended = over and last is not None and not self._name
        if ended or (not over and now - self._told >= PLAIN_SECONDS):
            self._told = now
            self._console.print(self._line(progress))

    def status(self) -> Status:
        """The status at this moment: between two looks, what is left becomes less."""
        now = time.monotonic()
        left, at = self._asked
        self._status.seconds = now - self._began
        self._status.left = None if left is None else max(left - (now - at), 0.0)
        return self._status

    def _line(self, progress: session.Progress) -> str:
        status = self.status()
        start = f"{self._name}: " if self._name else ""
        return f"{start}{line(progress, status.seconds, status.left)}"

    def end(self, summary: session.Summary) -> None:
        """Say what the sweep came to."""
        counts = ", ".join(f"{count} {status}" for status, count in sorted(summary.counts.items()))
        logs = summary.folder / "logs"
        failed = [identity for identity, status in summary.statuses.items() if status in store.HELD_BACK]
        if any((logs / f"{identity}.log").is_file() for identity in failed):
            self._console.print(f"what is known of each failure is in {shown_path(logs)}")
        seconds = time.monotonic() - self._began  # as in all lines before
        nothing = not summary.trained and not summary.interrupted and not summary.left
        trained = "nothing to train" if nothing else f"trained {summary.trained} in {duration(seconds)}"
        self._console.print(f"{trained}; {counts}; results in {shown_path(summary.folder)}")
        if summary.left:
            self._console.print(f"{plural(summary.left, 'stack')} left to jobs; {COLLECTS}")
        if summary.interrupted:
            self._console.print(GOES_ON)


class RunDisplay:
    """Evaluations of one run as they come, then its result."""

    def __init__(self) -> None:
        self._console = plain_console(whole=True)
        self._silence = _Silence()

    def start(self, plan: session.Plan) -> None:
        """Say what is trained."""
        ((identity, spec),) = plan.specs.items()
        for note in plan.request.notes:
            self._console.print(f"note: {note}")
        self._console.print(f"{identity}: {describe(spec)} on {plan.device}")
        self._console.print(
            f"{'step':>8} {'epoch':>7} {'lr':>9} {'train loss':>11} {'train acc':>10} {'val loss':>9} {'val acc':>8}"
        )

    def record(self, record: Record) -> None:
        """Show one evaluation."""
        from bnbench.training import Evaluation

        self._silence.tell({}, self._console)
        if isinstance(record, Evaluation):
            self._console.print(
                f"{record.step:>8} {record.epoch:>7.2f} {record.lr:>9.3g} {_number(record.train_loss):>11} "
                f"{record.train_accuracy:>10.2%} {_number(record.val_loss):>9} {record.val_accuracy:>8.2%}"
            )

    def silent(self, silent: session.Silent) -> None:
        """Say that nothing has come for long."""
        self._silence.tell(silent, self._console)

    def end(self, summary: session.Summary) -> None:
        """Show how the run ended."""
        (identity,) = summary.statuses
        row = store.load_runs(summary.folder).set_index("run_id").to_dict("index")[identity]
        status = row["status"]
        result = {
            "completed": f"completed: test accuracy {row['test_accuracy']:.2%}, test loss {_number(row['test_loss'])}",
            "diverged": f"diverged at step {row['diverged_step']:.0f}",
            "interrupted": "interrupted",
        }.get(str(status), f"{status}: {row['error']}")
        seconds = float(str(row["seconds"]))
        parts = [result, *([] if math.isnan(seconds) else [duration(seconds)])]
        self._console.print("; ".join([*parts, f"results in {shown_path(summary.folder)}"]))


def _number(value: float) -> str:
    """At most nine characters: ``0.6931``, ``2.3e+20``, ``nan``."""
    return f"{value:.4f}" if not abs(value) >= 1000 else f"{value:.3g}"


def describe(spec: RunSpec) -> str:
    """A run in a few words."""
    return f"{arm(spec)} batch_size={spec.batch_size} lr={spec.lr:g} seed={spec.seed}"
