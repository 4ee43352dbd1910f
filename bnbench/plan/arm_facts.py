"""What can be told of an arm from its network alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bnbench.components import Components, DataFolder
from bnbench.error_origin import is_bug
from bnbench.errors import described
from bnbench.spec import RunSpec
from bnbench.training.batch_dependence import differs_in_training, mixes_in_training


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """Facts of one network.

    Attributes:
        parameters: numbers that are learned.
        uses_batch: whether the output for an example changes with the other examples of its batch, in training.
        differs: whether outputs are others in training than at evaluation.
        error: why they could not be found out; the other fields say nothing then.
    """

    parameters: int = 0
    uses_batch: bool = False
    differs: bool = False
    error: str = ""


def arm_facts(specs: Mapping[str, RunSpec], components: Components, load: DataFolder) -> dict[str, ArmFacts]:
    """The facts of each spec's network, by run_id."""
    return {identity: _facts(spec, components, load) for identity, spec in specs.items()}


def _facts(spec: RunSpec, components: Components, load: DataFolder) -> ArmFacts:
    data = load(spec)
    try:
        network = components.build(spec, data)
        parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        return ArmFacts(parameters, mixes_in_training(network, data.shape), differs_in_training(network, data.shape))
    except (Exception, SystemExit) as error:  # a user's layer may raise anything
        if is_bug(error):
            raise
        return ArmFacts(error=described(error))
