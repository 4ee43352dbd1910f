"""Layers without a rule whose lanes run at once, each proved to allow it.

K lanes, N batch of a lane, C channels, H, W.
"""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec
from bnbench.stacking.layers.per_lane import LaneByLane, same_config
from bnbench.stacking.network import Folded
from bnbench.stacking.proof import unequal
from bnbench.training.device import release_memory
from bnbench.training.forward import forward
from bnbench.training.modes import kept_state, not_training
from bnbench.training.randomness import randomize

LANES, EXAMPLES = 3, 8
"""Lanes, and examples of each, that a proof needs at most."""


def vmap_lanes(spec: RunSpec, network: Folded, shape: tuple[int, int, int]) -> None:
    """Let the layers without a rule make one call for all lanes where that does what a call for each does.

    Args:
        spec: of any lane.
        network: whose layers' ``vmapped`` is set; nothing else is changed.
        shape: C, H, W of its images.
    """
    like, rng = next(network.parameters()), torch.Generator().manual_seed(0)
    x_MCHW = torch.randn(network.lanes * min(spec.batch_size, EXAMPLES), *shape, generator=rng).to(like)
    inputs = _inputs(spec, network, x_MCHW)
    for layer, x in inputs.items():
        few = torch.unflatten(x, 0, (network.lanes, -1))[:LANES].flatten(0, 1)
        layer.vmapped = same_config(layer) and _agrees(layer.first(LANES), few.cpu().double())
    if inputs:
        inputs.clear()
        release_memory()  # for what training needs


def _agrees(layer: LaneByLane, x: Tensor) -> bool:
    """True if outputs, gradients and buffers are the same in float64, in training and at evaluation.

    The layer is moved, changed and trained.
    """
    try:
        in_turn = layer.cpu().double()
        randomize(in_turn, torch.Generator().manual_seed(0))
        vmapped = copied(in_turn)
        vmapped.vmapped = True
        with torch.random.fork_rng([]):
            for training in (True, True, False):
                expected, received = (_pass(form.train(training), x) for form in (in_turn, vmapped))
                if next(unequal("", expected, received), None) is not None:
                    return False
                x = x.flip(0)
        return same_config(vmapped)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        return False


def _pass(layer: LaneByLane, x: Tensor) -> dict[str, Tensor]:
    """A layer's output for x, the gradients in a random direction, and its buffers afterwards."""
    x = x.clone().requires_grad_()
    y = layer(x)
    variables = [x, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
    direction = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    values = torch.autograd.grad(y, variables, direction, allow_unused=True)
    gradients = {f"gradient {number}": gradient for number, gradient in enumerate(values) if gradient is not None}
    return {"output": y, **gradients, **{name: buffer.double() for name, buffer in layer.named_buffers()}}


@torch.no_grad()
def _inputs(spec: RunSpec, network: Folded, x_MCHW: Tensor) -> dict[LaneByLane, Tensor]:
    """Inputs of the layers without a rule when a stack is evaluated on images; buffers are left as they were."""
    inputs: dict[LaneByLane, Tensor] = {}

    def see(layer: nn.Module, arguments: tuple[Tensor]) -> None:
        assert isinstance(layer, LaneByLane)
        inputs[layer] = arguments[0]

    layers = [layer for layer in network.modules() if isinstance(layer, LaneByLane)]
    if not layers:
        return inputs
    with not_training(network), kept_state(network), ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(see))
        forward(spec, network, x_MCHW)
    return inputs
