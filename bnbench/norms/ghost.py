"""Ghost batch normalization (Hoffer et al. 2017, algorithm 1).

Legend: N batch, C channels, * any number of positions, G chunks, M examples in a chunk.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from bnbench.limits import at_least
from bnbench.norms.common.affine import Affine
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.running import RunningStatistics, batch_norm, scratch
from bnbench.schema.facts import Facts

LARGE_CHUNK = 2**16
"""Values of a chunk from which one call per chunk is quicker than one on rearranged images, four times if channels lie
last."""


class GhostBatchNorm(RunningStatistics):
    """Batch normalization of each chunk of the batch on its own in training; plain batch normalization at evaluation.

    The batch is cut into chunks of ``chunk`` examples in its order; what is left over is a smaller chunk, and a batch
    smaller than ``chunk`` is one chunk. Running statistics take up the chunks one after another.

    Args:
        num_features: channels C.
        chunk: examples that are normalized together in training.
        eps: added to the variance.
        momentum: weight of the newest chunk in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Ghost batch normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="chunk of the batch and positions, for each channel",
        batch_statistics=True,
        paper="Hoffer et al. 2017",
        smallest_batch=2,
    )

    def __init__(
        self,
        num_features: int,
        *,
        chunk: int = 32,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(among("norm.affine", affine, get_args(Affine)), at_least("norm.chunk", chunk, 1))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.chunk = chunk

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for a chunk of one value per channel."""
        if not self.training:
            return self.normalize_with_running(x)
        if len(x) <= self.chunk:
            return self.normalize_with_batch(x, self.weight, self.bias)
        require_chunks(x, self.chunk)
        whole = len(x) - len(x) % self.chunk
        pieces = torch.split(x, self.chunk) if x[: self.chunk].numel() >= LARGE_CHUNK else (x[:whole], x[whole:])
        affine = self.weight, self.bias
        parts = [
            chunked_batch_norm(piece, min(self.chunk, len(piece)), *affine, self.eps) for piece in pieces if len(piece)
        ]
        outputs, means, variances = zip(*parts, strict=True)
        self.take_up(torch.cat(means), torch.cat(variances))
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def chunked_batch_norm(
    x: Tensor, chunk: int, weight_C: Tensor | None, bias_C: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize G chunks of x ``[G * M, C, *]`` in one call, as ``G * C`` channels of a batch of M.

    Returns:
        The output ``[G * M, C, *]``, and the chunks' means and unbiased variances ``[G, C]``.
    """
    chunks, channels = len(x) // chunk, x.shape[1]
    x_MGC = x.reshape(chunks, chunk, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
    mean, var = scratch(x, chunks * channels)
    weight = None if weight_C is None else weight_C.repeat(chunks)
    bias = None if bias_C is None else bias_C.repeat(chunks)
    y_MGC = batch_norm(x_MGC, mean, var, weight, bias, True, 1.0, eps)
    y = y_MGC.reshape(chunk, chunks, *x.shape[1:]).transpose(0, 1).flatten(0, 1)
    return y, mean.view(chunks, channels), var.view(chunks, channels)


def require_chunks(x: Tensor, chunk: int) -> None:
    """Raise :class:`Impossible` if a chunk of x ``[N, C, *]`` has one value per channel."""
    positions = x[0, 0].numel()
    smallest = len(x) % chunk or chunk
    require_values(
        smallest * positions,
        f"norm=ghost: each channel of every chunk of {chunk}",
        x.shape,
        "choose norm.chunk of at least 2 and batch_size so that their remainder is not 1, or drop_last=true where the "
        "last batch is the smaller one",
    )
