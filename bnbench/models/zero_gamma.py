"""Starting a residual block as the identity (Goyal et al. 2017, section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.errors import Impossible
from bnbench.norms.common.copying import copied
from bnbench.norms.fixup import Fixup


def zero_weight(norm: nn.Module) -> None:
    """Set the scale of a block's last norm to zero.

    Raises:
        Impossible: it has none, or is Fixup's, or puts out something all the same.
    """
    if isinstance(norm, Fixup):
        raise Impossible(
            "model.zero_init_last_gamma=true: norm=fixup starts every block as the identity by zero weights; with a "
            "zero scale as well its branches would never train: choose model.zero_init_last_gamma=false"
        )
    weight = getattr(norm, "weight", None)
    if not isinstance(weight, Tensor):
        raise Impossible(
            "model.zero_init_last_gamma=true needs a norm with a scale, and this one has none: "
            "choose norm.affine=both or scale where the norm has it, or model.zero_init_last_gamma=false"
        )
    nn.init.zeros_(weight)
    if not (weight.is_meta or _is_zero(norm, len(weight))):
        raise Impossible(
            "model.zero_init_last_gamma=true: this norm puts out something where its scale is zero, so that no block "
            "would start as the identity: choose another norm, or model.zero_init_last_gamma=false"
        )


@torch.no_grad()
def _is_zero(norm: nn.Module, channels: int) -> bool:
    """True unless a norm puts out something for images of some channels, [N, C, H, W]."""
    x = torch.randn(4, channels, 3, 3, generator=torch.Generator().manual_seed(0))
    try:
        return not bool(copied(norm).train()(x).any())
    except Exception as error:  # a user's norm may take no such images
        if is_bug(error):
            raise
        return True
