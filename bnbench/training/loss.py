"""The loss and the right answers of logits, with a label per example or per position.

N examples, O classes, T positions. Logits [N, O] have labels [N], logits [N, O, T] labels [N, T]: all positions count
alike, so that a loss is one per position.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mean_loss(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy in nats, the mean over examples and positions."""
    return F.cross_entropy(logits, y, label_smoothing=label_smoothing)


def losses(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy in nats of each example [N], the mean over its positions."""
    loss = F.cross_entropy(logits, y, reduction="none", label_smoothing=label_smoothing)
    return loss if loss.ndim == 1 else loss.mean(1)


def is_right(logits: Tensor, y: Tensor) -> Tensor:
    """[N] or [N, T] bool: the largest logit is that of the label."""
    return logits.argmax(1) == y


def positions(y: Tensor) -> int:
    """Labels of an example, from labels [N] or [N, T]."""
    return y[0].numel()
