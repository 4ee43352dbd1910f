"""Hydra composition: the defaults of a run, and the options of one choice of a config group."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from bnbench.components import Components
from bnbench.config.fields import option_defaults, option_types
from bnbench.data import COMMON, Augmentation
from bnbench.spec import OPTIMS, SCHEDULES

GROUPS = ("norm", "model", "dataset", "optim", "schedule")


def conf_dir() -> Path:
    """The folder of the Hydra configs: inside an installed package, beside it in a clone."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


class Composer:
    """Composes each config group choice once and keeps the result.

    The groups fill separate nodes, so a run's config is the sum of its choices and Hydra never has to compose their
    combinations.
    """

    def __init__(self, components: Components) -> None:
        self.components = components
        self._options: dict[tuple[str, str], dict[str, Any]] = {}
        self._defaults, self._chosen, self._names = _compose_defaults()

    @property
    def defaults(self) -> dict[str, Any]:
        """The top-level keys and their defaults, without the groups."""
        return {key: value for key, value in self._defaults.items() if key not in GROUPS}

    @property
    def chosen(self) -> dict[str, str]:
        """The default choice of each group."""
        return self._chosen

    def names(self, group: str) -> list[str] | None:
        """The choices of a group, in alphabetical order; None if there is no such group."""
        if group not in GROUPS:
            return None
        return sorted({*self._names[group], *self.components.added.get(group, ())})

    def options(self, group: str, name: str) -> dict[str, Any]:
        """The options of one choice and their defaults."""
        if (group, name) not in self._options:
            if name in self.components.added.get(group, ()):
                self._store_plugin_choice(group, name)
            with _hydra():
                config = compose("config", overrides=[f"{group}={name}"])
            self._options[group, name] = OmegaConf.to_container(config[group])  # type: ignore[assignment]
        return self._options[group, name]

    def component(self, group: str, name: str) -> Callable[..., Any]:
        """What a choice stands for: a class or a function."""
        closed: dict[str, Mapping[str, Callable[..., Any]]] = {"optim": OPTIMS, "schedule": SCHEDULES}
        return {**self.components.registries, **closed}[group][name]

    def types(self, group: str, name: str) -> Mapping[str, Any]:
        """The annotations of the options of one choice."""
        own = option_types(self.component(group, name))
        return {**own, **option_types(Augmentation)} if group == "dataset" else own

    def summary(self, group: str, name: str) -> str:
        """The first sentence of what a choice says of itself."""
        text = inspect.getdoc(self.component(group, name)) or ""
        return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")

    def _store_plugin_choice(self, group: str, name: str) -> None:
        options = option_defaults(self.components.registries[group][name])
        if group == "dataset":
            options = {**options, **COMMON}
        ConfigStore.instance().store(group=group, name=name, node=options)


@cache
def _compose_defaults() -> tuple[dict[str, Any], dict[str, str], dict[str, list[str]]]:
    with _hydra():
        config = compose("config", return_hydra_config=True)
        names = {group: GlobalHydra.instance().config_loader().get_group_options(group) for group in GROUPS}
        chosen = {group: config.hydra.runtime.choices[group] for group in GROUPS}
    plain = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return OmegaConf.to_container(plain), chosen, names  # type: ignore[return-value]


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
