"""What can be told of an arm from its network alone, and where its norm is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnbench.components import Components, DataFolder
from bnbench.error_origin import is_bug
from bnbench.errors import described
from bnbench.spec import RunSpec
from bnbench.training.batch_dependence import differs_in_training, mixes_in_training

PACKAGE = Path(__file__).parents[2]
"""The folder of the package: built-in norms are named by their files in it."""


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """Facts of one network.

    Attributes:
        parameters: numbers that are learned.
        uses_batch: whether the output for an example changes with the other examples of its batch, in training.
        differs: whether outputs are others in training than at evaluation.
        error: why they could not be found out; these fields say nothing then.
        source: the name of the norm's class, and its file: a user's by its name alone.
    """

    parameters: int = 0
    uses_batch: bool = False
    differs: bool = False
    error: str = ""
    source: str = ""


def arm_facts(specs: Mapping[str, RunSpec], components: Components, load: DataFolder) -> dict[str, ArmFacts]:
    """The facts of each spec's network, by run_id."""
    return {identity: _facts(spec, components, load) for identity, spec in specs.items()}


def _facts(spec: RunSpec, components: Components, load: DataFolder) -> ArmFacts:
    data, source = load(spec), _source(components.registries["norm"][spec.norm.name])
    try:
        network = components.build(spec, data)
        parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        mixes, differs = mixes_in_training(network, data.shape), differs_in_training(network, data.shape)
        return ArmFacts(parameters, mixes, differs, source=source)
    except (Exception, SystemExit) as error:  # a user's layer may raise anything
        if is_bug(error):
            raise
        return ArmFacts(error=described(error), source=source)


def _source(norm: Callable[..., Any]) -> str:
    """The name of a class or function and its file; less where a user's object hides them."""
    try:
        code = inspect.unwrap(getattr(norm, "func", norm))
        name, file = str(getattr(code, "__qualname__", type(code).__qualname__)), inspect.getsourcefile(code)
    except Exception:  # a user's object may raise anything when it is looked at
        return ""
    if file is None:
        return f"{name}"
    path = Path(file)
    return f"{name}, {path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else path.name}"
