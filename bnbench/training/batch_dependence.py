"""Trials that tell if an example's output depends on the other examples of its batch, and on the mode of its layers.

N batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.norms.common.copying import copied
from bnbench.training.module_state import lane_network
from bnbench.training.randomness import randomize

EXAMPLES = 4
SAME, OTHER = (0, 3), (1, 2)
"""Examples of a batch that stay, and those that are exchanged: each is beside, and two away from, one of the others."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Relative difference that is rounding."""

_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def mixes_examples(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """True if the output of a layer or the network for an example changes with the others, or with their number.

    The answer of a network is found once.

    Args:
        network: left as it is; of a folded one, a lane is tried.
        shape: C, H, W of an image.
    """
    if network not in _known:
        single = lane_network(network)
        _known[network] = _mixes(single, shape)
    return _known[network]


def mixes_in_training(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """True if the output for an example changes with the other examples of its batch, in training.

    Args:
        network: left as it is.
        shape: C, H, W of an image.
    """
    return _mixes(network, shape, training=True)


@torch.no_grad()
def differs_in_training(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """True if the outputs for a batch are others in training than at evaluation; likewise."""
    rng = torch.Generator().manual_seed(0)
    trial = copied(network).cpu()
    randomize(trial, rng)
    x_NCHW = torch.randn(EXAMPLES, *shape, generator=rng)
    evaluated = _outputs(copied(trial).eval(), x_NCHW)
    return not _agree(evaluated, _outputs(trial.train(), x_NCHW), TOLERANCE[torch.float32])


def _mixes(network: nn.Module, shape: tuple[int, int, int], training: bool = False) -> bool:
    for dtype in TOLERANCE:
        try:
            return _differs(network, shape, dtype, training)
        except (Exception, SystemExit) as error:  # a layer may not know float64, or refuse a batch as small as this
            if is_bug(error):
                raise
    return True


@torch.no_grad()
def _differs(network: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype, training: bool) -> bool:
    rng = torch.Generator().manual_seed(0)
    trial = copied(network).cpu().to(dtype).train(training)
    randomize(trial, rng)
    x_NCHW, others_NCHW = (torch.randn(EXAMPLES, *shape, dtype=dtype, generator=rng) for _ in range(2))
    exchanged_NCHW = x_NCHW.clone()
    exchanged_NCHW[list(OTHER)] = others_NCHW[list(OTHER)]
    expected = [part[list(SAME)] for part in _outputs(trial, x_NCHW)]
    others = [part[list(SAME)] for part in _outputs(trial, exchanged_NCHW)]
    alone = [] if training else [_outputs(trial, x_NCHW[list(SAME)])]  # ghost batches refuse parts of one
    return not all(_agree(expected, received, TOLERANCE[dtype]) for received in (others, *alone))


def _outputs(network: nn.Module, x_NCHW: Tensor) -> list[Tensor]:
    """Outputs of the layers, from within, and of the network; the same random numbers every time."""
    outputs: list[Tensor] = []

    def see(layer: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() and len(output) == len(x_NCHW):
            outputs.append(output)

    hooks = [layer.register_forward_hook(see) for layer in network.modules()]
    try:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            network(x_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def _agree(expected: Sequence[Tensor], received: Sequence[Tensor], tolerance: float) -> bool:
    return len(expected) == len(received) and all(
        torch.allclose(one, other, rtol=0, atol=tolerance * _magnitude(one), equal_nan=True)
        for one, other in zip(expected, received, strict=True)
    )


def _magnitude(tensor: Tensor) -> float:
    return tensor.nan_to_num(0, 0, 0).abs().max().item() if tensor.numel() else 0.0
