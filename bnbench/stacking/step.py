"""One step of training of a stack.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps of a block. Where positions have labels,
labels and logits have them as their last axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnbench.spec import RunSpec
from bnbench.stacking import Folded
from bnbench.stacking.optimizers import LaneOptimizer, clip_lanes
from bnbench.training.forward import forward
from bnbench.training.loss import losses


class LaneStep:
    """Gradients from a batch and an update.

    Whatever changes from step to step is a tensor, never a number of Python: a recording of what a step does to its
    tensors is a step.

    Args:
        spec: of any lane.
        network: the stack; trained in place.
        optimizer: of the network's parameters.
    """

    def __init__(self, spec: RunSpec, network: Folded, optimizer: LaneOptimizer) -> None:
        self.network, self.spec = network, spec
        self._optimizer = optimizer

    def run(self, x_MCHW: Tensor, y_KN: Tensor, lr_K1: Tensor) -> tuple[Tensor, Tensor]:
        """Make one step with a learning rate per lane.

        Returns:
            The losses [M] and logits [M, O] of the batch before the update, without gradient.
        """
        spec = self.spec
        self._optimizer.zero_grad()
        logits_MO = forward(spec, self.network, x_MCHW)
        loss_M = losses(logits_MO, y_KN.flatten(0, 1), spec.label_smoothing)
        torch.autograd.backward(loss_M, torch.full_like(loss_M, 1 / y_KN.shape[1]))
        if spec.grad_clip is not None:
            clip_lanes(self.network, spec.grad_clip)
        self._optimizer.step(lr_K1)
        return loss_M.detach(), logits_MO.detach()

    def run_block(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps: losses [S, M] and logits [S, M, O]."""
        answers = [self.run(*inputs) for inputs in zip(x_SMCHW, y_SKN, lr_SK1, strict=True)]
        loss, logits = zip(*answers, strict=True)
        return torch.stack(loss), torch.stack(logits)
