"""The data and the plugin of runs, and those of earlier runs of a sweep.

Data go by the fingerprint of their files, a plugin's components by its source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bnbench import store
from bnbench.config import compose_request
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.imports import imported_whole
from bnbench.schema import Known, Parts, built_in
from bnbench.spec import Choice, RunSpec
from bnbench.text import listing, plural

PATH = "dataset.path"


def is_settled(spec: RunSpec) -> bool:
    """True for a run without a plugin and without files of data: nothing of it can change but with the package."""
    return spec.plugin is None and _has_no_files(spec.dataset)


def fingerprinted(specs: Iterable[RunSpec], root: Path) -> list[RunSpec]:
    """The same specs with the fingerprints of their data as they are now.

    Args:
        root: the data folder.

    Raises:
        InvalidRequest: there are no such data, or they cannot be read; all that is wrong.
    """
    specs = list(specs)
    fingerprints: dict[Choice, str | None] = {}
    problems: list[str] = []
    for choice in dict.fromkeys(spec.dataset for spec in specs):
        try:
            fingerprints[choice] = _fingerprint(choice, root)
        except BnbenchError as error:
            problems.append(str(error))
    if problems:
        raise InvalidRequest(problems)
    return [
        spec if spec.data == fingerprints[spec.dataset] else replace(spec, data=fingerprints[spec.dataset])
        for spec in specs
    ]


def same_data(specs: Iterable[RunSpec]) -> Iterator[str]:
    """A note for each two paths that lead to the same data, so that their runs are the same."""
    first: dict[tuple[str, str], str] = {}
    for choice, data in dict.fromkeys((spec.dataset, spec.data) for spec in specs):
        if data is not None and (path := _path(choice)) != first.setdefault((choice.name, data), path):
            yield f"{PATH}={path} holds the same data as {first[choice.name, data]}, so their runs are the same"


def earlier_data(specs: Iterable[RunSpec], rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Notes on finished runs that were trained on other data of the same dataset and path, or on nobody knows what.

    They are given once: not where the sweep has a run on the data as they are now.

    Args:
        specs: of a plan.
        rows: of the sweep that the plan goes into.
    """
    rows = list(rows)
    for choice, data in dict.fromkeys((spec.dataset, spec.data) for spec in specs):
        beside = [row for row in rows if _place(row) == (choice.name, _path(choice))]
        if data is None or any(row.get("data") == data for row in beside):
            continue
        finished = [row for row in beside if row["status"] in store.RESULTS]
        if others := [row for row in finished if row.get("data")]:
            versions = _versions({row["data"] for row in others}, beside)
            cause = f"{_where(choice)}: data changed"
            yield f"{cause}: {_runs(others)} trained on other data, {versions}, and stay apart"
        if unknown := [row for row in finished if not row.get("data")]:
            yield f"{_where(choice)}: {_runs(unknown)} trained without a fingerprint of the data, and stay apart"


def earlier_sources(
    specs: Mapping[str, RunSpec], pending: Collection[str], parts: Known, rows: Iterable[Mapping[str, str]]
) -> Iterator[str]:
    """Notes on finished runs with another source of a plugin's component: the version that the sweep had last.

    Args:
        specs: of a plan, by run_id.
        pending: run_ids of those to be trained.
        rows: of the sweep that the plan goes into, those of the version that was asked for last behind the others.
    """
    rows = list(rows)
    for group, names in parts.added.items():
        for name in dict.fromkeys(component for spec in specs.values() if (component := _name(spec, group)) in names):
            beside = [row for row in rows if row.get(group) == name and row.get("plugin")]
            if not beside or beside[-1]["plugin"] == parts.source_hash:
                continue
            others = [row for row in beside if row["plugin"] != parts.source_hash and row["status"] in store.RESULTS]
            if others:
                new = sum(_name(specs[identity], group) == name for identity in pending)
                since = max(row["finished_at"] for row in others)
                older = f"{plural(len(others), 'finished run')} of other versions kept (report --versions shows all)"
                cause = f"{group}={name}: the source of its plugin changed since {since}"
                yield f"{cause}: {plural(new, 'run')} to train, and {older}"


def repeated(source: Path, spec: RunSpec, overrides: Sequence[str], parts: Parts, root: Path) -> RunSpec:
    """The spec of a file ``source``, at another ``dataset.path`` if the overrides say so.

    Raises:
        InvalidRequest: the data are not what the run was trained on, or the override is not a path.
        DataMissing: they are not there.
    """
    if overrides:
        request = compose_request([f"dataset={spec.dataset.name}", *overrides], parts)
        if request.problems or len(request.specs) > 1:
            raise InvalidRequest(request.problems or [f"{PATH}: --from repeats one run, so it takes one path"])
        moved = {**spec.dataset.options, "path": request.specs[0].dataset.options["path"]}
        spec = replace(spec, dataset=Choice.of(spec.dataset.name, moved))
    try:
        now = _fingerprint(spec.dataset, root)
        if overrides and now is None:
            raise InvalidRequest([f"{PATH}: these data have no fingerprint, so elsewhere it would be another run"])
    except DataMissing as error:
        raise DataMissing(f"{error}\nIf the data were moved, put {PATH}=... beside --from") from error
    if spec.data not in (None, now):
        mismatch = f"have the fingerprint {now} and not {spec.data}, as they had, so it would be another run"
        raise InvalidRequest([f"--from {source}: the data of {_where(spec.dataset)} {mismatch}"])
    return spec


def _fingerprint(choice: Choice, root: Path) -> str | None:
    """See :func:`bnbench.data.fingerprint`."""
    if choice.name not in built_in().datasets or _has_no_files(choice):
        return None
    imported_whole("bnbench.data")
    from bnbench.data import fingerprint

    return fingerprint(choice, root)


def _has_no_files(choice: Choice) -> bool:
    """True for a built-in dataset that is there wherever the package is."""
    facts = built_in().datasets.get(choice.name)
    return facts is not None and facts.files == "none"


def _name(spec: RunSpec, group: str) -> str:
    """The component of a group (norm, model, dataset) that a spec is built from."""
    choice: Choice = getattr(spec, group)
    return choice.name


def _path(choice: Choice) -> str:
    return str(choice.options.get("path", ""))


def _where(choice: Choice) -> str:
    return f"{PATH}={_path(choice)}" if _path(choice) else f"dataset={choice.name}"


def _place(row: Mapping[str, str]) -> tuple[str, str]:
    return row.get("dataset", ""), row.get(PATH, "")


def _versions(fingerprints: Collection[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Data by fingerprint, each with the time at which the first run on it began, as reports tell them."""
    begun = ((row["data"], row["started_at"]) for row in rows if row.get("data") and row["started_at"])
    every = store.data_versions(begun).items()
    return listing([f"{data} (since {since})" for data, since in every if data in fingerprints])


def _runs(rows: list[Mapping[str, str]]) -> str:
    return f"{len(rows)} finished run was" if len(rows) == 1 else f"{len(rows)} finished runs were"
