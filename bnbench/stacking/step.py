"""One step of training of a stack.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps of a block.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bnbench.spec import RunSpec
from bnbench.stacking import Folded
from bnbench.stacking.optimizers import LaneOptimizer, clip_lanes
from bnbench.training.forward import forward


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
        self.network = network
        self._spec, self._optimizer = spec, optimizer

    def run(self, x_MCHW: Tensor, y_KN: Tensor, lr_K1: Tensor) -> tuple[Tensor, Tensor]:
        """Make one step with a learning rate per lane.

        Returns:
            The losses [M] and logits [M, O] of the batch before the update, without gradient.
        """
        spec = self._spec
        self._optimizer.zero_grad()
        logits_MO = forward(spec, self.network, x_MCHW)
        loss_M = F.cross_entropy(logits_MO, y_KN.flatten(), reduction="none", label_smoothing=spec.label_smoothing)
        torch.autograd.backward(loss_M, torch.full_like(loss_M, 1 / y_KN.shape[1]))
        if spec.grad_clip is not None:
            clip_lanes(self.network, spec.grad_clip)
        self._optimizer.step(lr_K1)
        return loss_M.detach(), logits_MO.detach()

    def run_block(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps: losses [S, M] and logits [S, M, O]."""
        answers = [self.run(*inputs) for inputs in zip(x_SMCHW, y_SKN, lr_SK1, strict=True)]
        losses, logits = zip(*answers, strict=True)
        return torch.stack(losses), torch.stack(logits)
