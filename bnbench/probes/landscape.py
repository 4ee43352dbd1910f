"""The loss along its gradient (Santurkar et al. 2018, section 3.2 and figure 4).

P parameters of the network as one vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import WHOLE, Pause, Value, flat, loss_and_gradients, trained, training_batches

LENGTHS = tuple(2 ** (exponent / 2) for exponent in range(-2, 5))
"""Step lengths in learning rates: from a half to four, evenly in the logarithm."""


def landscape(pause: Pause) -> list[Value]:
    """Change of loss and gradient along the gradient, from a half to four learning rates of this moment.

    A step length is a multiple of the gradient of one batch; the same batch is looked at all along. The values are
    those of :func:`along_gradient`, and ``length_shortest`` and ``length_longest``.
    """
    (batch,) = training_batches(pause, 1)
    start_P = flat(trained(pause.network).values()).detach()

    def loss_and_gradient(at_P: Tensor) -> tuple[Tensor, Tensor]:
        network = _network_at(pause.network, at_P)
        loss, gradients = loss_and_gradients(pause, network, batch)
        return loss, flat(gradients.values())

    lengths = [pause.lr * length for length in LENGTHS]
    values = along_gradient(loss_and_gradient, start_P, lengths)
    values |= {"length_shortest": lengths[0], "length_longest": lengths[-1]}
    return [Value(WHOLE, name, value) for name, value in values.items()]


@torch.no_grad()
def _network_at(network: nn.Module, at_P: Tensor) -> nn.Module:
    """A copy of a network with other parameters."""
    network = copied(network)
    parameters = list(trained(network).values())
    parts = torch.split(at_P, [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view(parameter.shape))
    return network


def along_gradient(
    loss_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]], start_P: Tensor, lengths: Sequence[float]
) -> dict[str, float]:
    """Look at a loss L and its gradient g at ``w - s g(w)`` for step lengths s.

    Args:
        loss_and_gradient: of any point [P].
        start_P: the point w.
        lengths: the step lengths s.

    Returns:
        ``loss`` at w; ``loss_lowest``, ``loss_highest`` and ``loss_range``, their difference, over the step lengths;
        ``gradient_change_lowest`` and ``gradient_change_highest`` of ``|g(w - s g) - g|`` (gradient predictiveness);
        ``smoothness``, the largest ``|g(w - s g) - g| / |s g|`` (effective beta-smoothness).
    """
    loss, gradient_P = loss_and_gradient(start_P)
    losses, changes, curvatures = [], [], []
    for length in lengths:
        there, gradient_there_P = loss_and_gradient(start_P - (length * gradient_P).to(start_P.dtype))
        change = (gradient_there_P - gradient_P).norm()
        losses.append(there)
        changes.append(change)
        curvatures.append(change / (length * gradient_P.norm()))
    lowest, highest = torch.stack(losses).aminmax()
    least, most = torch.stack(changes).aminmax()
    found = {
        "loss": loss,
        "loss_lowest": lowest,
        "loss_highest": highest,
        "loss_range": highest - lowest,
        "gradient_change_lowest": least,
        "gradient_change_highest": most,
        "smoothness": torch.stack(curvatures).max(),
    }
    return {name: value.item() for name, value in found.items()}
