"""A trained network, built from the spec of its run and filled with the weights that were kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bnbench import store
from bnbench.config import read_spec
from bnbench.errors import SHOWN, BnbenchError, Damaged, InvalidRequest, PluginError, described
from bnbench.imports import imported_whole
from bnbench.notices import notice
from bnbench.plugins import known_components
from bnbench.session.weights import command_for_weights
from bnbench.spec import RunSpec

if TYPE_CHECKING:
    from torch import nn

    from bnbench.components import Components
    from bnbench.training.weights import Weights

_BEGINNING = re.compile(r"r[0-9a-f]{0,11}")


@dataclass(frozen=True)
class _Place:
    """A run in a sweep's folder."""

    folder: Path
    identity: str
    status: str

    @property
    def weights(self) -> Path:
        return store.weights_path(self.folder, self.identity)


def load_network(word: str, sweep: str | None, results: Path, plugin: Path | None = None) -> nn.Module:
    """The trained network of a run, on the CPU and in evaluation mode.

    Args:
        word: the beginning of its run_id.
        sweep: the one that it is in; without one, all are looked through, and one with its weights counts.
        results: the folder of all sweeps.
        plugin: the file of the user's components, which is executed in this process.

    Raises:
        InvalidRequest: there is no such run, or there are several; it has no weights; its plugin is not given.
        Damaged: its weights are not as they were written.
        PluginError: the plugin cannot be used.
    """
    place = _place(word, sweep, results)
    row = store.checked_rows(place.folder)[place.identity]
    if row.get("plugin") and plugin is None:
        raise InvalidRequest([f"run {place.identity} uses a plugin; give its file, as it was then: plugin=FILE"])
    known = known_components(plugin if row.get("plugin") else None)
    spec = read_spec(store.spec_file(place.folder, place.identity), known)
    imported_whole("bnbench.training.weights")
    from bnbench.components import components

    weights = _read(place, spec)
    return _filled(place, spec, weights, components(known.plugin))


def _place(word: str, sweep: str | None, results: Path) -> _Place:
    """The one run that a word names, in the sweep that has its weights."""
    if not _BEGINNING.fullmatch(word):
        raise InvalidRequest([f"run {word!r:.80}: must be an r and eleven hex digits, or the beginning of that"])
    places = [place for place in _places(sweep, results) if place.identity.startswith(word)]
    identities = list(dict.fromkeys(place.identity for place in places))
    if not identities:
        raise InvalidRequest([f"no run starts with {word!r} in {results if sweep is None else results / sweep}"])
    if len(identities) > 1:
        first = ", ".join(identities[:SHOWN]) + (", ..." if len(identities) > SHOWN else "")
        raise InvalidRequest([f"run {word!r}: could be {len(identities)} runs, {first}; give more of it"])
    best = max(places, key=lambda place: (place.status == "completed", place.weights.exists()))
    if best.status != "completed":
        raise InvalidRequest([f"run {best.identity} has no weights: it is {best.status}, and must be completed"])
    return best


def _places(sweep: str | None, results: Path) -> Iterator[_Place]:
    """All runs of a sweep, or of all that can be looked into; a notice tells of the others."""
    if sweep is not None:
        store.check_name(sweep)
        store.check_sweep(results / sweep)
    for folder in store.sweep_folders(results) if sweep is None else [results / sweep]:
        try:
            yield from (_Place(folder, *run) for run in store.statuses(folder).items())
        except (Damaged, OSError) as error:
            if sweep is not None:
                raise
            notice(f"not looked into: {folder}: {error}")


def _read(place: _Place, spec: RunSpec) -> Weights:
    """The weights of a run, which are those of this spec."""
    from bnbench.training.weights import Unreadable, decode, digest_of_spec

    path = place.weights
    plugin = "; add --plugin FILE" if spec.plugin is not None else ""
    again = f"{command_for_weights(place.folder, place.identity)} trains it again and keeps them{plugin}"
    try:
        weights = decode(store.content(path))
    except FileNotFoundError:
        raise InvalidRequest([f"run {place.identity} has no weights: {path} is not there; {again}"]) from None
    except OSError as error:
        raise BnbenchError(f"{path} cannot be read: {error.strerror}") from error
    except Unreadable as error:
        raise Damaged(path, str(error), again) from error
    if weights.identity != place.identity:
        raise Damaged(path, f"it holds the weights of run {weights.identity}", again)
    if weights.spec != digest_of_spec(spec):
        where = store.spec_file(place.folder, place.identity)
        raise Damaged(where, f"it is not the spec that the weights in {path} were trained with", again)
    return weights


def _filled(place: _Place, spec: RunSpec, weights: Weights, parts: Components) -> nn.Module:
    """The network of a spec with these weights."""
    from bnbench.training.forward import dtype_of
    from bnbench.training.weights import ordinary

    try:
        network = ordinary(parts.build(spec, weights).to(dtype_of(spec)))
    except (BnbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a user's code may also call sys.exit
        if spec.plugin is None:
            raise
        raise PluginError(f"building the network of run {place.identity} raised {described(error)}") from error
    try:
        network.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise Damaged(place.weights, f"it does not fit the network of its run: {reason}") from error
    return network
