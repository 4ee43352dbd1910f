"""The machines of a cluster, held against this one before anything is trained there."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.launch import Site
from bnbench.plugin_source import Plugin
from bnbench.session.plan import Plan

PACKAGES = ("bnbench", "torch")


@dataclass(frozen=True)
class Machine:
    """A machine as it is found.

    Attributes:
        versions: of Python and of packages; of one that is not there it is empty.
        problem: why a plugin cannot be executed there; empty if it can.
    """

    versions: Mapping[str, str]
    problem: str = ""


def examine(plugin: Plugin | None) -> Machine:
    """This machine; called on each of a cluster.

    Args:
        plugin: is executed, to see that all is there that it imports.
    """
    problem = ""
    if plugin is not None:
        from bnbench.components import components

        try:
            components(plugin)
        except BnbenchError as error:
            problem = str(error)
    return Machine({"python": _python(), **{name: _version(name) for name in PACKAGES}}, problem)


def check_machines(plan: Plan, site: Site) -> None:
    """Refuse a cluster on whose machines runs would train otherwise than here, or not at all.

    Raises:
        InvalidRequest: listing the machines, with what is there and here.
    """
    if site.ask_each is None:
        return
    plugin = plan.components.plugin if any(spec.plugin for spec in plan.pending.values()) else None
    here, problems = examine(None).versions, []
    for name, done in site.ask_each(examine, plugin):
        if not isinstance(done.value, Machine):
            problems.append(f"node {name}: bnbench cannot be called there: {done.error}")
            continue
        others = {key: there for key, there in done.value.versions.items() if there != here[key]}
        problems += [
            f"node {name}: {key} {there or 'is missing'} there, {here[key]} here; install the same"
            for key, there in others.items()
        ]
        if done.value.problem:
            problems.append(f"node {name}: {done.value.problem}")
    if problems:
        raise InvalidRequest(problems)


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _version(name: str) -> str:
    """The version of a package, without the name of its build."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""
