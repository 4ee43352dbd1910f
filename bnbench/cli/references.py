"""Words that name runs and sweeps: a run by the beginning of its id, or as ``SWEEP/RUN``; a sweep by name or folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bnbench import store
from bnbench.cli.settings import Settings
from bnbench.cli.tables import not_read
from bnbench.errors import SHOWN, Damaged, InvalidRequest, nearest
from bnbench.notices import notice


@dataclass(frozen=True)
class RunPlace:
    """A run in a sweep's folder."""

    folder: Path
    identity: str
    status: str


def run_places(settings: Settings, word: str, told: list[str]) -> list[RunPlace]:
    """The places of the one run that a word names, one for each sweep that it is in; none for a word that names none.

    Args:
        word: the beginning of its id, in one sweep only as ``SWEEP/RUN``.
        told: takes a line for each sweep that cannot be looked into.

    Raises:
        InvalidRequest: several runs begin so, or the word is empty.
    """
    if not word:
        raise InvalidRequest(["run '': must be a run id, or the beginning of one"])
    name, slash, beginning = word.rpartition("/")
    folders = [settings.sweep_folder(name)] if slash and name else store.sweep_folders(settings.results)
    places = []
    for folder in folders:
        if not store.is_sweep(folder):
            continue
        try:
            known = store.statuses(folder).items()
        except (Damaged, OSError) as error:
            told.append(f"not looked into: {folder}: {not_read(error)}")
            continue
        places += [RunPlace(folder, key, status) for key, status in known if key.startswith(beginning)]
    identities = list(dict.fromkeys(place.identity for place in places))
    if len(identities) > 1:
        first = ", ".join(identities[:SHOWN])
        few = first if len(identities) <= SHOWN else f"one of {len(identities)} runs, {first}, ..."
        raise InvalidRequest([f"run {word!r}: could be {few}; give more of it"])
    return places


def no_run(settings: Settings, word: str, told: list[str]) -> InvalidRequest:
    """The error of a word that names no run, with what could not be looked into."""
    foreign = store.foreign_folders(settings.results).items()
    others = [f"not looked into: {folder}: {reason}" for folder, reason in foreign]
    if word and store.is_sweep(settings.sweep_folder(word)):
        return InvalidRequest([f"{word!r:.80} is a sweep, and no run; bnbench ls {word:.80} lists its runs"])
    return InvalidRequest([f"no run starts with {word!r} in {settings.results}", *told, *others])


def best_place(places: list[RunPlace]) -> RunPlace:
    """The place in which a run counts: with a result, or else a failure; the first of equals."""
    return max(places, key=lambda place: store.rank(place.status))


def reference(settings: Settings, word: str) -> RunPlace | Path:
    """The run or the folder of the sweep that a word names; a sweep before a run, which is said.

    Raises:
        InvalidRequest: it names none, or several runs.
    """
    if word and store.is_sweep(folder := settings.sweep_folder(word)):
        if runs := _runs_beginning(settings, word):
            notice(f"{_both(word, runs[0])}; the sweep is meant")
        return folder
    return best_place(_places(settings, word))


def exact_reference(settings: Settings, word: str) -> RunPlace | Path:
    """As :func:`reference`, where a mistake would cost something.

    Raises:
        InvalidRequest: it names none, several runs, a run of several sweeps, or a sweep and a run.
    """
    if word and store.is_sweep(folder := settings.sweep_folder(word)):
        if runs := _runs_beginning(settings, word):
            raise InvalidRequest([f"{_both(word, runs[0])}; the sweep is {folder.absolute()}"])
        return folder
    places = _places(settings, word)
    if len(places) > 1:
        every = ", ".join(f"{place.folder.name}/{place.identity}" for place in places)
        raise InvalidRequest([f"run {word!r:.80} is in {len(places)} sweeps; say which: {every}"])
    return places[0]


def _both(word: str, run: RunPlace) -> str:
    return f"{word} is a sweep and the beginning of a run, {run.folder.name}/{run.identity}"


def _places(settings: Settings, word: str) -> list[RunPlace]:
    told: list[str] = []
    if not (places := run_places(settings, word, told)):
        raise _nothing(settings, word, told)
    return places


def _runs_beginning(settings: Settings, word: str) -> list[RunPlace]:
    """The runs that a sweep's name is the beginning of."""
    try:
        return run_places(settings, word, [])
    except InvalidRequest:  # several
        return []


def _nothing(settings: Settings, word: str, told: list[str]) -> InvalidRequest:
    """The error of a word that names neither a run nor a sweep."""
    names = [folder.name for folder in store.sweep_folders(settings.results)]
    there = f"sweeps: {nearest(word, names)}" if names else f"there are no sweeps in {settings.results}"
    return InvalidRequest([f"{word!r:.80} is neither a sweep nor the beginning of a run; {there}", *told])
