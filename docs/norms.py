"""Write docs/norms.md, the table of all norms, from what their classes say of themselves: ``python docs/norms.py``."""

from pathlib import Path

from bnbench.cli.norm_list import entries
from bnbench.components import components
from bnbench.config import Composer

HEAD = """# The norms

What `bnbench list norms` prints. `weight` and `bias` are learned, one number per channel each; `norm.affine` leaves one
or both out. A position is a pixel of a channel; behind a linear layer a channel has one.

A layer right before a norm has a bias only if that counts for something: not if the norm adds a `bias` of its own, nor
if it subtracts the mean of each channel, which leaves rounding noise as the gradient. `model.bias=always` makes one all
the same; one without a gradient is not trained and not counted in `parameters`, in torchvision's and a plugin's models
too.

In `model=vit` a position is a token. What is over a batch and its positions is over the tokens of all examples, and
`instance` is over the tokens of each, which needs `model.pool=class`; a `chunk` of `ghost` and `ghost_noise` is of
whole examples, and the norms of an example's channels that `grn` compares are over its tokens. `layer`, `rms`, `group`
and `ws` with groups take each token as an example of its own, as transformers do, so that both settings of `norm.over`
are the same. `switchable` does not: its layer statistics are over the channels and tokens of an example. With
`model.qk_norm=true` a position is a head of a token, and the shift of the norm of keys, which softmax cancels, is not
trained. Norms that hold their own activation have no place there. In torchvision's transformers all
this is so too: `norm=layer` is what they have themselves, and `instance` has no place in Swin, which pools means.

In `model=gpt` all this is so too, and a token is a character. What is over a batch and its positions is over all
characters of the batch, also in training those that are to be predicted: a position can learn of them from the mean and
the variance, the less the larger the batch is. At evaluation running statistics tell nothing of them, and those of
`evaluate.statistics=batch` do. Norms over the tokens of an example (`instance`, `batch_instance`, `switchable`, `grn`)
would tell of them always, and are refused.

In `model=convmixer` every norm is behind an activation, so that all convolutions have a bias. Norms that hold their own
have no place there, nor has `instance`: the classifier sees means over positions, which it makes the same for every
image, as `group` and `ws` do where a group is one channel.

In `model=convnext` no activation is right behind a norm, and norms that hold their own have no place there. The last
norm is behind the pooling, where a channel has one position, so that norms that need several are refused. The norm of
the paper is `layer` with `norm.over=channels`.

On [several devices](sweeps.md#several-devices) the batch of a norm is the part of it that its device has; `sync` alone
takes the statistics of the whole batch. On one device it is `batch`.

Weight decay acts on the numbers that a norm learns as on all others. Most recipes for transformers leave them out, and
so do those of `dyt` and `derf`: `optim.decay_norm=false` does, for `alpha` and `s` too.

Two norms for small batches are not here. MABN (Yan et al. 2020) passes back averages over earlier batches, which are no
gradient of what it puts out, so that nothing independent could be held against it. CBN (Yao et al. 2021) corrects the
statistics of earlier batches by how they change with the weights of the layer before, which a layer that sees its input
alone does not know.
"""
CODE = ("formula", "options")


def markdown() -> str:
    """A section per norm."""
    return HEAD + "".join(section(name, lines) for name, lines in entries(Composer(components())))


def section(name, lines):
    """A heading, the first line as a sentence, and the others as a list."""
    (_, what), *rest = lines.items()
    listed = "".join(f"- {label}: {f'`{line}`' if label in CODE else line}\n" for label, line in rest)
    return f"\n## {name}\n\n{what}.\n\n{listed}"


if __name__ == "__main__":
    (Path(__file__).parent / "norms.md").write_text(markdown())
