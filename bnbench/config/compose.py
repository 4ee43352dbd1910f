"""Hydra composition: the defaults of a run, and the options of one choice of a config group."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from bnbench.components import BUILT_IN, Components
from bnbench.config.description import described, facts_of
from bnbench.config.fields import field_types, option_types
from bnbench.data import Augmentation
from bnbench.norms.facts import Facts
from bnbench.paths import conf_dir
from bnbench.spec import OPTIMS, SCHEDULES

GROUPS = ("norm", "model", "dataset", "optim", "schedule")
CLOSED: dict[str, Mapping[str, Callable[..., Any]]] = {"optim": OPTIMS, "schedule": SCHEDULES}
"""The groups that a plugin cannot add to: a dataclass per choice."""

_SENTENCE_END = re.compile(r"\. (?=[A-Z`])")
"""``et al. 2017`` goes on."""


class Composer:
    """What can be set, and its defaults: built-in choices come from conf/, those of a plugin from what it says of them.

    The groups fill separate nodes, so a run's config is the sum of its choices and Hydra never has to compose their
    combinations.

    Raises:
        PluginError: see :func:`described`.
    """

    def __init__(self, components: Components) -> None:
        self.components = components
        self._added = components.described or described(components)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The top-level keys and their defaults, without the groups."""
        return {key: value for key, value in _compose(None, None)[0].items() if key not in GROUPS}

    @property
    def chosen(self) -> Mapping[str, str]:
        """The default choice of each group."""
        return _compose(None, None)[1]

    def names(self, group: str) -> list[str] | None:
        """The choices of a group, in alphabetical order; None if there is no such group."""
        if group not in GROUPS:
            return None
        return sorted({*_group_names()[group], *self.components.added.get(group, ())})

    def options(self, group: str, name: str) -> Mapping[str, Any]:
        """The options of one choice and their defaults."""
        if (group, name) in self._added:
            return self._added[group, name].options
        config, _ = _compose(None, None) if name == self.chosen[group] else _compose(group, name)
        return dict(config[group])

    def types(self, group: str, name: str) -> Mapping[str, Any]:
        """The annotations of the options of one choice."""
        if group in CLOSED:
            return field_types(self._component(group, name))
        added = self._added.get((group, name))
        own = added.types if added else option_types(group, self._component(group, name))
        return {**own, **field_types(Augmentation)} if group == "dataset" else own

    def doc(self, group: str, name: str) -> str:
        """What a choice says of itself; empty if it says nothing."""
        added = self._added.get((group, name))
        return added.doc if added else inspect.getdoc(self._component(group, name)) or ""

    def facts(self, name: str) -> Facts | None:
        """The facts of a norm; one of a plugin need not have any."""
        added = self._added.get(("norm", name))
        return added.facts if added else facts_of(self._component("norm", name))

    def summary(self, group: str, name: str) -> str:
        """The first sentence of what a choice says of itself."""
        text = self.doc(group, name)
        return _SENTENCE_END.split(" ".join(text.split("\n\n")[0].split()))[0].rstrip(".").replace("`", "")

    def _component(self, group: str, name: str) -> Callable[..., Any]:
        """The class or function that a built-in choice stands for."""
        return {**BUILT_IN, **CLOSED}[group][name]


@cache
def _compose(group: str | None, name: str | None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The default config, with one choice made, as plain values; and which choices it holds."""
    with _hydra():
        config = compose("config", overrides=[f"{group}={name}"] if group else [], return_hydra_config=True)
    choices = {key: str(config.hydra.runtime.choices[key]) for key in GROUPS}
    plain = DictConfig({key: config[key] for key in config if key != "hydra"})
    return OmegaConf.to_container(plain), choices  # type: ignore[return-value]


@cache
def _group_names() -> Mapping[str, list[str]]:
    with _hydra():
        return {group: GlobalHydra.instance().config_loader().get_group_options(group) for group in GROUPS}


@contextmanager
def _hydra() -> Iterator[None]:
    """A Hydra session over our configs that leaves a session of the caller's program as it was."""
    outer = dict(GlobalHydra.instance().__dict__)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().__dict__.update(outer)
