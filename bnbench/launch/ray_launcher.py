"""Runs tasks on a Ray cluster: an actor for each worker, which keeps a worker process of its own beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.imports import imported_whole
from bnbench.launch.crew import Crew, carry_out
from bnbench.launch.host import Host, Named, named
from bnbench.launch.launcher import Done, as_it_is, same_kind
from bnbench.launch.ray_cluster import begin, connected, needed, nodes
from bnbench.launch.ray_settings import RaySettings, cluster_problems, imported_ray
from bnbench.launch.settings import read_settings
from bnbench.launch.site import Launcher, Request, Site
from bnbench.launch.worker import Loss, Worker, collect, hand

CLOSING_SECONDS = 2.0
"""Seconds that actors have to end their worker processes before they are ended with them."""
SURVEY_SECONDS = 120.0
"""Seconds that nodes have to tell of themselves."""
LOST = "the machine of the worker, or Ray's process there, was lost"


def on_ray(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
    request: Request | None = None,
) -> Generator[Done, None, None]:
    """See :class:`Launch`; up to ``jobs`` actors, as far as the cluster has room for them.

    A task whose machine is lost ends with an error that says so: it is not tried again here.

    Args:
        request: says what a worker needs; None is the settings as they come.
    """
    if not tasks:
        return
    request = request or Request(read_settings("ray", RaySettings), jobs)
    assert isinstance(request.settings, RaySettings), "those of this launcher"
    with connected(request.settings, jobs, request.uses_gpu):
        staff = _Actors(named(function), heard is not None, needed(request.settings, request.uses_gpu))
        crew = Crew(staff, jobs)
        yield from carry_out(crew, tasks, kinds, placed, heard, crew.silent_for(request.patience))


class _Actor(Worker):
    """A worker process of another machine, spoken to by way of an actor."""

    def __init__(self, actor: Any, kind: Hashable, place: int) -> None:
        super().__init__(kind, place)
        self.actor, self.is_starting = actor, True
        self.pending: Any = actor.close.remote()  # answered once the actor is there

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
        ray = imported_ray()
        pending, self.pending = self.pending, None
        try:
            answer: bytes | Loss | None = ray.get(pending)
        except ray.exceptions.RayError as error:
            self.end()
            return Loss(f"{LOST} ({' '.join(str(error).split())[:300]})", is_machine=True)
        self.is_starting = False
        return answer

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
    """

    function: Named
    tells: bool
    needs: dict[str, float]
    ray: Any = field(default_factory=imported_ray)

    def start(self, kind: Hashable, place: int) -> Worker:
        """Ask for one, which begins when the cluster has room for it."""
        actor = self.ray.remote(Host).options(**self.needs, max_restarts=0, max_task_retries=0)
        return _Actor(actor.remote(self.function, self.tells), kind, place)

    def start_on(self, node: str, place: int) -> Worker:
        """Start one on a node."""
        imported_whole("ray.util.scheduling_strategies")
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self.ray.remote(Host).options(**self.needs, max_restarts=0, scheduling_strategy=there)
        return _Actor(actor.remote(self.function, self.tells), None, place)

    def heard_of(self, workers: Sequence[Worker], seconds: float | None) -> Sequence[Worker]:
        """Those that have answered or died, waited for so many seconds at most."""
        waiting = {one.listen(): one for one in workers if isinstance(one, _Actor)}
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


def ask_each(function: Callable[[Any], Any], task: Any, only: Collection[str] | None = None) -> list[tuple[str, Done]]:
    """The ends of a task that each node of the cluster has; see :class:`AskEach`. One that goes meanwhile has none."""
    ray = imported_ray()
    there = [node for node in nodes(ray) if only is None or _name(node) in only]
    staff = _Actors(named(function), False, {"num_cpus": 0.0})
    message = ray.put(bytes(ForkingPickler.dumps(task)))  # each node fetches it once
    workers = [staff.start_on(node["NodeID"], index) for index, node in enumerate(there)]
    ends: dict[int, Done] = {}
    deadline = time.monotonic() + SURVEY_SECONDS
    try:
        for worker in workers:
            hand(worker, worker.place, message)
        while (waiting := [one for one in workers if one.place not in ends]) and time.monotonic() < deadline:
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
        is_here = request.settings.place is None
        yield Site(partial(on_ray, request=request), room, ask_each=None if is_here else ask_each)


RAY = Launcher(
    on_ray,
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
