"""Hydra composition of conf/, from which the schema is written that ships with the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from bnbench.config.compose import GROUPS
from bnbench.paths import conf_dir

DEFAULTS: Mapping[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
"""Settings without which 1.3 has the defaults of earlier versions; later versions need none."""


def composed(group: str | None = None, name: str | None = None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The default config, with one choice made, as plain values; and which choices it holds.

    The groups fill separate nodes, so a run's config is the sum of its choices and Hydra never has to compose their
    combinations.
    """
    with _hydra():
        config = compose("config", overrides=[f"{group}={name}"] if group else [], return_hydra_config=True)
    choices = {key: str(config.hydra.runtime.choices[key]) for key in GROUPS}
    plain = DictConfig({key: config[key] for key in config if key != "hydra"})
    return OmegaConf.to_container(plain), choices  # type: ignore[return-value]


def group_names(group: str) -> list[str]:
    """The choices of a group that conf/ has, in alphabetical order."""
    with _hydra():
        return sorted(GlobalHydra.instance().config_loader().get_group_options(group))


@contextmanager
def _hydra() -> Iterator[None]:
    """A Hydra session over our configs that leaves a session of the caller's program as it was."""
    outer = dict(GlobalHydra.instance().__dict__)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), **DEFAULTS):
            yield
    finally:
        GlobalHydra.instance().__dict__.update(outer)
