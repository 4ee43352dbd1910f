"""What a norm may be refused for, wherever norms and models are combined."""

from bnbench.norms import NORMS, activates


def is_expected(norm: str, reason: str) -> bool:
    """Whether a norm is refused for what it is: in need of several positions, of more than two examples, of the
    activation behind it, of residual branches, of a pool that sees more than a mean over positions, of the characters
    that are to be predicted.
    """
    if norm == "fixup":
        return "no residual branches" in reason
    if norm == "instance" and "makes the mean of an example's" in reason:
        return True
    if norm in ("instance", "batch_instance", "switchable", "grn") and "model=gpt is to predict" in reason:
        return True
    kind = NORMS[norm]
    needs_positions = ("use a larger image" in reason or "behind the pooling" in reason) and not kind.facts.vectors
    needs_examples = "use a batch of at least 3" in reason and kind.facts.smallest_batch > 2
    return needs_positions or needs_examples or ("holds its own activation" in reason and activates(kind))
