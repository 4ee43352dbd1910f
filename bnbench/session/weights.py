"""A plan whose trained weights are kept, and the command that trains a run again for its weights."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bnbench import store
from bnbench.notices import notice
from bnbench.paths import shown_path
from bnbench.session.plan import Plan
from bnbench.text import plural


def saving_weights(plan: Plan) -> Plan:
    """The same plan, with the weights of what it trains; a note tells of finished runs that have none.

    Raises:
        Damaged: in the place of a file with weights is something else.
    """
    for identity in plan.pending:
        store.check_file_place(store.weights_path(plan.folder, identity))
    without = [
        identity
        for identity in plan.specs
        if plan.known.get(identity) == "completed"
        and identity not in plan.pending
        and not store.weights_path(plan.folder, identity).is_file()
    ]
    notes = plan.request.notes
    if without:
        first, single = without[0], len(without) == 1
        plugin = plan.plugin if plan.specs[first].plugin is not None else None
        notes += (
            f"{plural(len(without), 'finished run')} {'has' if single else 'have'} no weights and"
            f" {'is' if single else 'are'} not trained again; for {'it' if single else 'the first one'}:"
            f" {command_for_weights(plan.folder, first, plugin)}",
        )
    return replace(plan, save_weights=True, request=replace(plan.request, notes=notes))


def tell_of_missing(plan: Plan, statuses: Mapping[str, str]) -> None:
    """Give notice of runs that were trained now, and whose weights could not be kept.

    Args:
        statuses: by run_id, how they ended.
    """
    ended = [identity for identity in plan.pending if statuses[identity] == "completed"] if plan.save_weights else []
    without = [identity for identity in ended if not store.weights_path(plan.folder, identity).is_file()]
    if without:
        logs = store.log_file(plan.folder, without[0])
        where = str(shown_path(logs)) if len(without) == 1 else f"logs such as {shown_path(logs)}"
        notice(f"{plural(len(without), 'run')} could not keep weights; why is in {where}")


def command_for_weights(folder: Path, identity: str, plugin: Path | None = None) -> str:
    """The command that trains a run of a sweep again and keeps its weights.

    Args:
        folder: of the sweep.
        plugin: the file of the user's components, if the run uses some.
    """
    results = folder.absolute().parent
    elsewhere = [] if results == Path("results").absolute() else ["--results", str(shown_path(results))]
    source = str(shown_path(store.spec_file(folder.absolute(), identity)))
    code = [] if plugin is None else ["--plugin", str(shown_path(plugin))]
    return shlex.join(["bnbench", *elsewhere, "run", "--from", source, "--name", folder.name, *code, "--save-weights"])
