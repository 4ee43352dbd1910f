"""Starting a residual block as the identity (Goyal et al. 2017, section 5.1)."""

from __future__ import annotations

from torch import Tensor, nn

from bnbench.errors import Impossible


def zero_weight(norm: nn.Module) -> None:
    """Set the scale of a block's last norm to zero; raises :class:`Impossible` if it has none."""
    weight = getattr(norm, "weight", None)
    if not isinstance(weight, Tensor):
        raise Impossible(
            "model.zero_init_last_gamma=true needs a norm with a scale, and this one has none: "
            "choose norm.affine=both or scale where the norm has it, or model.zero_init_last_gamma=false"
        )
    nn.init.zeros_(weight)
