"""Proof before use: compiled steps must change a stack as torch's own steps do.

N batch of a lane, K lanes, C channels, H, W of an image, L labels of an example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.errors import described
from bnbench.native.graph import NotNative, NotReady
from bnbench.native.steps import NativeSteps
from bnbench.spec import RunSpec, Sgd
from bnbench.stacking import CannotFold, Folded, fold, set_streams, unequal
from bnbench.stacking.optimizers import LaneOptimizer, make_lane_optimizer
from bnbench.stacking.step import LaneStep
from bnbench.training.evaluation import predicted
from bnbench.training.modes import not_training
from bnbench.training.module_state import changed, python_state
from bnbench.training.optimizer import decays
from bnbench.training.randomness import GlobalStream, randomize
from bnbench.training.statistics import freeze_statistics

LANES = 3
SPLITS = 2
STEPS = 2
EPS = 0.1
"""Least eps of the norms: with a smaller one, two close values of a batch of two amplify rounding a hundredfold."""

Result = dict[str, Tensor]
"""Losses and logits of some steps, and after them the optimizer's state, which tells the gradients, parameters, buffers
and the logits at evaluation."""


@dataclass(frozen=True)
class _Stack:
    """Lanes that differ in what can differ between runs of a stack."""

    specs: list[RunSpec]
    build: Callable[[int], nn.Module]
    image: tuple[int, int, int]
    classes: int
    batch: int
    labels: tuple[int, ...]


def prove_native(
    spec: RunSpec,
    build: Callable[[int], nn.Module],
    image: tuple[int, int, int],
    classes: int,
    batch: int,
    translate: bool = True,
    labels: tuple[int, ...] = (),
) -> str | None:
    """Make a few steps of a stack with random numbers in float64 both ways, and with frozen statistics if they will be.

    Args:
        spec: of the runs that are to be trained.
        build: makes a network from a seed.
        image: C, H, W.
        classes: of the labels.
        batch: N.
        translate: whether layers that the compiled code does not know may be translated for it, which takes seconds.
        labels: the shape of those of an example: [] or [L].

    Returns:
        None if losses, gradients, parameters and buffers agree to 1e-9 relative, else the first difference, or why
        there are no compiled steps.

    Raises:
        NotReady: code is not compiled yet, and may not be here.
    """
    try:
        return next(differences(_Stack(_lanes(spec), build, image, classes, batch, labels), translate), None)
    except NotReady:
        raise
    except (CannotFold, NotNative) as error:
        return str(error)
    except (Exception, SystemExit) as error:  # a plugin's network may raise anything
        if is_bug(error):
            raise
        return described(error)


def _lanes(spec: RunSpec) -> list[RunSpec]:
    """Runs in float64 that differ in weight decay, momentum and seed."""
    spec = replace(spec, precision="fp64")
    optims = [replace(spec.optim, weight_decay=lane / 100) for lane in range(LANES)]
    optims = [replace(o, momentum=0.5 + lane / 10) if isinstance(o, Sgd) else o for lane, o in enumerate(optims)]
    return [replace(spec, optim=optim, seed=lane) for lane, optim in enumerate(optims)]


def differences(stack: _Stack, translate: bool) -> Iterator[str]:
    """A sentence for every tensor that differs."""
    for frozen in (False,) if stack.specs[0].freeze_statistics is None else (False, True):
        received, expected = _result(stack, frozen, True, translate), _result(stack, frozen, False)
        mode = "with frozen statistics: " if frozen else ""
        for kind in ("losses", "logits", "state of ", "parameter ", "buffer ", "evaluation"):
            pairs = (
                {name: item for name, item in state.items() if name.startswith(kind)} for state in (expected, received)
            )
            yield from unequal(mode, *pairs)


def _result(stack: _Stack, frozen: bool, native: bool, translate: bool = False) -> Result:
    """Make the steps of a stack."""
    rng, spec = torch.Generator().manual_seed(0), stack.specs[0]
    networks = _networks(stack, rng)
    folded = fold(networks).train()
    if frozen:
        freeze_statistics(folded)
    set_streams(folded, [GlobalStream(lane, torch.device("cpu"), torch_only=True) for lane in range(LANES)])
    optimizer = make_lane_optimizer(stack.specs, folded, decays(spec.optim, networks[0]))
    x_SMCHW = torch.randn(STEPS, LANES * stack.batch, *stack.image, dtype=torch.float64, generator=rng)
    y_SKN = torch.randint(0, stack.classes, (STEPS, LANES, stack.batch, *stack.labels), generator=rng)
    lr_SK1 = 0.01 + torch.rand(STEPS, LANES, 1, dtype=torch.float64, generator=rng) / 100
    whole = replace(spec, batch_size=stack.batch)  # evaluated in as many examples, by code of its own
    steps = NativeSteps(whole, folded, optimizer, stack.image, stack.classes) if native else None
    if steps is not None and steps.translated and not translate:
        raise NotNative(f"{', '.join(steps.translated)}, for which training is too short")
    run = LaneStep(spec, folded, optimizer).run_block if steps is None else steps.run
    before = python_state(folded.network)
    losses_SM, logits_SMO = run(x_SMCHW, y_SKN, lr_SK1)
    if place := changed(before, python_state(folded.network)):
        raise NotNative(f"{place}, which a step changes or which cannot be compared")
    with torch.no_grad(), not_training(folded):
        predictions = steps.predictions if steps is not None else None
        x_DNCHW, split_K = torch.unflatten(x_SMCHW[0], 0, (LANES, -1))[:SPLITS], torch.arange(LANES) % SPLITS
        evaluation = (predictions or partial(predicted, spec, folded))(x_DNCHW, split_K)
    result = {"losses": losses_SM, "logits": logits_SMO, "evaluation": evaluation}
    return {**result, **_tensors(folded, optimizer)}


def _networks(stack: _Stack, rng: torch.Generator) -> list[nn.Module]:
    """Networks of random numbers, whose norms have an eps that does not amplify rounding."""
    networks = [stack.build(lane).double() for lane in range(LANES)]
    for network in networks:
        randomize(network, rng)
        for layer in network.modules():
            if isinstance(eps := vars(layer).get("eps"), float):
                vars(layer)["eps"] = max(eps, EPS)
    return networks


def _tensors(folded: Folded, optimizer: LaneOptimizer) -> Result:
    states = {name: optimizer.state_of(parameter)[0] for name, parameter in folded.named_parameters()}
    return {
        **{f"state of {name} {index}": item for name, items in states.items() for index, item in enumerate(items)},
        **{f"parameter {name}": parameter.detach() for name, parameter in folded.named_parameters()},
        **{f"buffer {name}": buffer.double() for name, buffer in folded.named_buffers()},
    }
