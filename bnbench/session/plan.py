"""A checked request, held against the results that its folder has already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bnbench import store
from bnbench.config import Request
from bnbench.devices import Device, cards
from bnbench.imports import imported_whole
from bnbench.isolation import Answer, Waits, ask
from bnbench.plan import Division, Execution, Question, Resources, summarized
from bnbench.schema import Known
from bnbench.spec import RunSpec, stack_key


@dataclass(frozen=True)
class Plan:
    """The runs of a request: finished, impossible, held back, or to be trained.

    Attributes:
        specs: by run_id, all runs that were asked for.
        folder: the sweep's folder.
        known: by run_id, the status of every run in the folder.
        pending: by run_id, the runs to train now.
        impossible: by run_id, why a spec cannot be trained.
        interleaved: groups of run_ids; if given, the pending runs of a group are trained in turns, group by group.
        identities: by run_id of a spec as it was composed, that of the run if it is another one, as it is where its
            data have a fingerprint.
        save_weights: whether the weights of networks that are trained now are kept.
        taken_over: how many results came from other sweeps just now, by their name.
        trials: by run_id, the trial of a search that a run is for; without any in a grid.
        until: what is trained now stops after so many epochs; None trains to the end.
    """

    request: Request
    specs: Mapping[str, RunSpec]
    folder: Path
    components: Known
    plugin: Path | None
    data: Path
    device: Device
    known: Mapping[str, str]
    pending: Mapping[str, RunSpec]
    impossible: Mapping[str, str]
    interleaved: tuple[tuple[str, ...], ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    save_weights: bool = False
    taken_over: Mapping[str, int] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    until: int | None = None

    @property
    def finished(self) -> list[str]:
        """The runs that have a result already."""
        return [identity for identity in self.specs if self.known.get(identity) in store.RESULTS]

    @property
    def held_back(self) -> list[str]:
        """The runs that failed earlier and are not tried again."""
        accounted = {*self.pending, *self.finished, *self.impossible, *self.stopped}
        return [identity for identity in self.specs if identity not in accounted]

    @property
    def stopped(self) -> list[str]:
        """The runs that have stopped before their end, and do not go on now."""
        there = (identity for identity in self.specs if self.known.get(identity) == store.STOPPED)
        return [identity for identity in there if identity not in self.pending]

    @property
    def infeasible(self) -> list[str]:
        """Sentences on the runs that are impossible."""
        return summarized(self.specs, self.impossible)

    @property
    def asked(self) -> dict[str, Any]:
        """The request, the device and its cards, as far as the number of lanes that is quick depends on them."""
        place: dict[str, Any] = {"device": str(self.device)}
        if names := cards(self.device):
            place["cards"] = names
        return {**{key: list(texts) for key, texts in self.request.typed.items()}, **place}

    def known_lanes(self) -> dict[str, int]:
        """The most runs that are trained together, by stack key, as the same command found before."""
        known: dict[str, int] = {}
        for entry in store.read_history(self.folder):
            if self.asked.items() <= entry.items():
                known |= entry.get("lanes", {})
        return known

    def division(self, resources: Resources) -> Question:
        """The question that comes to a :class:`Division` among some resources."""
        imported_whole("bnbench.plan.choice")
        from bnbench.plan.choice import division

        return partial(division, resources=resources)

    def divide(
        self, pending: Mapping[str, RunSpec], resources: Resources, waits: Waits | None = None
    ) -> Iterator[Answer]:
        """A :class:`Division` of what is pending: as the same command found before, or found now.

        Args:
            waits: see :func:`ask`.
        """
        for answer in self.ask(self.division(resources), pending, True, waits):
            if answer.error is None:
                yield answer
                continue
            companions = Counter(map(stack_key, answer.specs.values()))
            why = Execution(reasons=(f"trying lanes failed: {answer.error}",))
            executions = {key: why if runs > 1 else Execution() for key, runs in companions.items()}
            yield replace(answer, value=Division(executions, dict.fromkeys(companions, 0.0)))

    def ask(
        self, question: Question, specs: Mapping[str, RunSpec], measures: bool = False, waits: Waits | None = None
    ) -> Iterator[Answer]:
        """See :func:`ask`."""
        return ask(question, specs, self.components, self.data, measures, waits)
