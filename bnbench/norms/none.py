"""No normalization: the arm to compare with."""

from __future__ import annotations

from torch import Tensor, nn

from bnbench.schema.facts import Facts


class NoNorm(nn.Module):
    """The identity. It does not shift, so the layer before it keeps its bias."""

    facts = Facts(
        title="No normalization: the identity",
        formula="x",
        over="nothing",
        batch_statistics=False,
        paper="",
    )

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        """Return x ``[N, C, *]`` as it is."""
        return x
