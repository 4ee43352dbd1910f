"""Runs tasks on a Ray cluster: an actor for each worker, which keeps a worker process of its own beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, cast

from bnbench.errors import described
from bnbench.imports import imported_whole
from bnbench.launch.crew import Crew, carry_out
from bnbench.launch.host import Host, Named, named
from bnbench.launch.launcher import Done, Launch, as_it_is, same_kind
from bnbench.launch.ray_cluster import begin, connected, needed, nodes
from bnbench.launch.ray_settings import RaySettings, cluster_problems, imported_ray
from bnbench.launch.settings import read_settings
from bnbench.launch.site import Examine, Launcher, Request, Site
from bnbench.launch.worker import Loss, Worker, collect, hand
from bnbench.notices import notice

CLOSING_SECONDS = 2.0
"""Seconds that actors have to end their worker processes before they are ended with them."""
SURVEY_SECONDS = 120.0
"""Seconds that nodes have to tell of themselves."""
EXAMINATION_POLL_SECONDS = 0.2
"""Seconds from one look to the next whether a node that came late is fit."""
LOST = "the machine of the worker, or Ray's process there, was lost"


@dataclass(frozen=True)
class OnRay:
    """See :class:`Launch`; up to ``jobs`` actors, as far as the cluster has room for them.

    A task whose machine is lost ends with an error that says so: it is not tried again here.

    Attributes:
        request: says what a worker needs; None is the settings as they come.
        door: says which nodes may have tasks; None is all.
    """

    request: Request | None = None
    door: Door | None = None

    def __call__(
        self,
        function: Callable[..., Any],
        tasks: Sequence[Any],
        jobs: int,
        kinds: Callable[[Any], Hashable] = same_kind,
        placed: Callable[[Any, int], Any] = as_it_is,
        heard: Callable[[Any], None] | None = None,
    ) -> Generator[Done, None, None]:
        """Run tasks."""
        if not tasks:
            return
        request = self.request or Request(read_settings("ray", RaySettings), jobs)
        assert isinstance(request.settings, RaySettings), "those of this launcher"
        with connected(request.settings, jobs, request.uses_gpu):
            needs = needed(request.settings, request.uses_gpu)
            crew = Crew(_Actors(named(function), heard is not None, needs, self.door), jobs)
            try:
                yield from carry_out(crew, tasks, kinds, placed, heard, crew.silent_for(request.patience))
            finally:
                if self.door is not None:
                    self.door.close()


class Door:
    """Knows which nodes of a cluster may have tasks; one that comes late is examined, beside what others do.

    Args:
        examine: says why a node may not.
        known: the nodes that were examined before, by Ray's identifiers.
    """

    def __init__(self, examine: Examine, known: Collection[str]) -> None:
        self._examine = examine
        self._problems: dict[str, Sequence[str]] = dict.fromkeys(known, ())
        self._looks: dict[str, threading.Thread] = {}
        self._told = set[str]()
        self._over = threading.Event()

    def problems_of(self, node: str) -> Sequence[str] | None:
        """Why a node may not, in no clause if it may; None as long as it is examined, which begins if need be."""
        if node not in self._problems and node not in self._looks:
            self._looks[node] = threading.Thread(target=self._look_at, args=(node, self._over), daemon=True)
            self._looks[node].start()
        return self._problems.get(node)

    def is_examining(self) -> bool:
        """True if a node that came late is examined, which begins if need be."""
        return any(self.problems_of(node["NodeID"]) is None for node in nodes(imported_ray()))

    def refused(self) -> Sequence[str]:
        """The nodes that may not; of each is said once why."""
        refused = {node: problems for node, problems in [*self._problems.items()] if problems}
        for node in refused.keys() - self._told:
            self._told.add(node)
            for problem in refused[node]:
                notice(f"{problem}; it came late, and has no runs")
        return [*refused]

    def close(self) -> None:
        """Stop looking, before the cluster is left: what is examined then would connect to it again."""
        over, self._over = self._over, threading.Event()
        over.set()
        for thread in self._looks.values():
            thread.join(2 * CLOSING_SECONDS)
        self._looks.clear()

    def _look_at(self, node: str, over: threading.Event) -> None:
        """Examine a node. One about which an error is raised may have no tasks."""
        try:
            problems = [*self._examine(partial(ask_each, nodes_asked=[node], is_over=over.is_set))]
        except Exception as error:
            problems = [f"node {node}: {described(error)}"]
        if not over.is_set():
            self._problems[node] = problems


class _Actor(Worker):
    """A worker process of another machine, spoken to by way of an actor.

    Attributes:
        node: that it is on, as long as that is examined.
    """

    def __init__(self, actor: Any, kind: Hashable, place: int, door: Door | None) -> None:
        super().__init__(kind, place)
        self.actor, self.is_starting = actor, True
        self.node: str | None = None
        self._door = door
        self.pending: Any = actor.node.remote()  # answered once the actor is there

    @property
    def is_examined(self) -> bool:
        """True as long as its node is."""
        return self.node is not None and self._door is not None and self._door.problems_of(self.node) is None

    def listen(self) -> Any:
        """Let the actor listen, and return what its answer will be in."""
        if self.pending is None:
            self.pending = self.actor.listen.remote()
        return self.pending

    def send(self, message: bytes) -> bool:
        """Give it a task; what became of an actor that died idle is told with its answer."""
        self.actor.carry_out.remote(message)
        return True

    def answer(self) -> bytes | Loss | None:
        """The next answer, or how it ended."""
        if self.node is not None:
            return self._let_in(self.node)
        ray = imported_ray()
        pending, self.pending = self.pending, None
        try:
            answer = ray.get(pending)
        except ray.exceptions.RayError as error:
            self.end()
            said = f"{LOST} ({' '.join(str(error).split())[:300]})"
            is_unfit = self.is_starting and self._door is not None and self._door.is_examining()
            return Loss(said, is_machine=True, is_refused=is_unfit)
        if self.is_starting:
            return self._let_in(answer)
        return cast("bytes | Loss | None", answer)

    def _let_in(self, node: str) -> Loss | None:
        """Have it begin if its node may have tasks; else it ends, and the reason is said."""
        problems = self._door.problems_of(node) if self._door is not None else ()
        if problems is None:
            self.node = node
            return None
        self.node = None
        if not problems:
            self.is_starting = False
            return None
        if self._door is not None:
            self._door.refused()
        self.end()
        return Loss(problems[0], is_refused=True)

    def end(self) -> None:
        """End the actor; its worker process ends with it."""
        imported_ray().kill(self.actor)


@dataclass(frozen=True)
class _Actors:
    """Actors of a cluster.

    Attributes:
        function: that their worker processes call.
        tells: as of :func:`serve`.
        needs: of each, as Ray names it.
        door: says on which nodes they may be; None is all.
    """

    function: Named
    tells: bool
    needs: dict[str, float]
    door: Door | None = None
    ray: Any = field(default_factory=imported_ray)

    def start(self, kind: Hashable, place: int) -> Worker:
        """Ask for one, which begins when the cluster has room for it."""
        options = {**self.needs, "max_restarts": 0, "max_task_retries": 0}
        if self.door is not None and (refused := self.door.refused()):
            imported_whole("ray.util.scheduling_strategies")
            from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

            options["scheduling_strategy"] = NodeLabelSchedulingStrategy({"ray.io/node-id": NotIn(*refused)})
        actor = self.ray.remote(Host).options(**options)
        return _Actor(actor.remote(self.function, self.tells), kind, place, self.door)

    def start_on(self, node: str, place: int) -> Worker:
        """Start one on a node."""
        imported_whole("ray.util.scheduling_strategies")
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self.ray.remote(Host).options(**self.needs, max_restarts=0, scheduling_strategy=there)
        return _Actor(actor.remote(self.function, self.tells), None, place, None)

    def heard_of(self, workers: Sequence[Worker], seconds: float | None) -> Sequence[Worker]:
        """Those that have answered or died, waited for so many seconds at most."""
        actors = [one for one in workers if isinstance(one, _Actor)]
        if over := [one for one in actors if one.node is not None and not one.is_examined]:
            return over
        waiting = {one.listen(): one for one in actors if one.node is None}
        if len(waiting) < len(actors):
            seconds = EXAMINATION_POLL_SECONDS if seconds is None else min(seconds, EXAMINATION_POLL_SECONDS)
        if not waiting:
            time.sleep(EXAMINATION_POLL_SECONDS)
            return []
        ready, _ = self.ray.wait(list(waiting), num_returns=1, timeout=seconds)
        if ready:  # all of them: the first in the list would come again and again
            ready, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        return [waiting[one] for one in ready]

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """End actors, once their worker processes are."""
        actors = [one for one in workers if isinstance(one, _Actor)]
        closing = [one.actor.close.remote() for one in actors if not one.is_starting and one.index is None]
        if closing:
            self.ray.wait(closing, num_returns=len(closing), timeout=CLOSING_SECONDS)
        for one in actors:
            one.end()


def ask_each(
    function: Callable[[Any], Any],
    task: Any,
    only: Collection[str] | None = None,
    nodes_asked: Collection[str] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> list[tuple[str, Done]]:
    """The ends of a task that each node of the cluster has; see :class:`AskEach`. One that goes meanwhile has none.

    Args:
        nodes_asked: nodes by Ray's identifiers; None is all that are there.
        is_over: whether nobody waits for an answer any more.
    """
    if is_over():
        return []
    ray = imported_ray()
    there = [
        node
        for node in nodes(ray)
        if (only is None or _name(node) in only) and (nodes_asked is None or node["NodeID"] in nodes_asked)
    ]
    staff = _Actors(named(function), False, {"num_cpus": 0.0})
    message = ray.put(bytes(ForkingPickler.dumps(task)))  # each node fetches it once
    workers = [staff.start_on(node["NodeID"], index) for index, node in enumerate(there)]
    ends: dict[int, Done] = {}
    deadline = time.monotonic() + SURVEY_SECONDS
    try:
        for worker in workers:
            hand(worker, worker.place, message)
        while (waiting := [one for one in workers if one.place not in ends]) and time.monotonic() < deadline:
            if is_over():
                break
            for worker in staff.heard_of(waiting, 1.0):
                if (done := collect(worker, None)) is not None:
                    ends[worker.place] = done
    finally:
        staff.dismiss(workers)
    living = {node["NodeID"] for node in nodes(ray)}
    silent = Done(0, None, f"it has not answered for {SURVEY_SECONDS:.0f} s")
    return [(_name(node), ends.get(place, silent)) for place, node in enumerate(there) if node["NodeID"] in living]


def _name(node: Mapping[str, Any]) -> str:
    """The name of a node, and where it is."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


@contextmanager
def opened(request: Request) -> Iterator[Site]:
    """A site on a cluster; see :class:`Open`."""
    assert isinstance(request.settings, RaySettings), "those of this launcher"
    with connected(request.settings, request.jobs, request.uses_gpu) as room:
        launch = OnRay(request)
        if request.settings.place is None:
            yield Site(launch, room)
            return
        asked = set[str]()

        def ask(
            function: Callable[[Any], Any], task: Any, only: Collection[str] | None = None
        ) -> Sequence[tuple[str, Done]]:
            there = {node["NodeID"] for node in nodes(imported_ray())}
            if only is None:
                asked.clear()
                asked.update(there)
            return ask_each(function, task, only, asked)

        def guarded(examine: Examine) -> Launch:
            return replace(launch, door=Door(examine, asked))

        yield Site(launch, room, ask_each=ask, guarded=guarded)


RAY = Launcher(
    OnRay(),
    "a Ray cluster: a running one, or one of this machine",
    isolates=True,
    compiles=True,
    is_away=True,
    settings=RaySettings,
    problems=cluster_problems,
    begin=begin,
    open=opened,
    package="ray",
)
