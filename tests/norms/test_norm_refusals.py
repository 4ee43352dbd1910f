"""Cells that cannot be trained are refused with a message to act on, on the meta device as well."""

import pytest
import torch

from bnbench.errors import Impossible, InvalidRequest
from bnbench.norms import NORMS

IMPOSSIBLE = {
    "batch": ({}, (1, 8), r"shape \[1, 8\] gives 1: use a batch of at least 2"),
    "batch 1x1": ({}, (1, 8, 1, 1), r"shape \[1, 8, 1, 1\] gives 1"),
    "batch empty": ({}, (0, 8), r"gives 0"),
    "ghost single": ({}, (1, 8), "gives 1: use a batch of at least 2"),
    "ghost remainder": (
        {"chunk": 4},
        (9, 8),
        "each channel of every chunk of 4 needs at least two values",
    ),
    "ghost chunk=1": ({"chunk": 1}, (4, 8), "choose norm.chunk of at least 2"),
    "renorm": ({}, (1, 8), "gives 1"),
    "instance": ({}, (4, 8), "gives 1: use a larger image"),
    "instance 1x1": ({}, (4, 8, 1, 1), "gives 1"),
    "group": ({"groups": 8}, (4, 8), "use fewer groups"),
    "batch_instance": ({}, (4, 8), "norm=batch_instance: each channel of an example .* gives 1: use a larger image"),
    "switchable": ({}, (4, 8), "norm=switchable: each channel of an example .* gives 1: use a larger image"),
    "switchable 1x1": ({}, (4, 8, 1, 1), "gives 1: use a larger image"),
    "frn": ({}, (4, 8), "gives 1: use a larger image, fewer strides or norm.learn_eps=true"),
    "frn 1x1": ({}, (4, 8, 1, 1), "norm=frn: each channel of an example"),
    "evonorm_b0": ({}, (4, 8), "norm=evonorm_b0: each channel of an example"),
    "evonorm_b0 1x1": ({}, (4, 8, 1, 1), "use a larger image, fewer strides or norm=evonorm_s0"),
    "evonorm_s0": ({"groups": 8}, (4, 8), "norm.groups=8: each group of an example .* use fewer groups"),
    "l1_batch": ({}, (1, 8), "gives 1: use a batch of at least 2"),
    "noisy_batch": ({}, (1, 8, 1, 1), "gives 1: use a batch of at least 2"),
    "precise": ({}, (1, 8), "gives 1: use a batch of at least 2"),
    "sync": ({}, (1, 8), "gives 1: use a batch of at least 2"),
    "layer one channel": ({"over": "all"}, (4, 1), "use a wider layer or a larger image"),
    "layer over=channels": ({"over": "channels"}, (4, 1, 3, 3), "use a wider layer"),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_one_value_per_statistic(case, device):
    options, shape, message = IMPOSSIBLE[case]
    norm = NORMS[case.split()[0]](shape[1], **options).to(device)
    with pytest.raises(Impossible, match=message):
        norm(torch.empty(shape, device=device))


def test_ghost_remainder_of_one_with_positions_is_fine():
    NORMS["ghost"](8, chunk=4)(torch.randn(9, 8, 3, 3))


@pytest.mark.parametrize("name", ["batch", "ghost", "renorm", "precise", "sync", "l1_batch", "noisy_batch"])
def test_one_example_can_be_evaluated(name):
    NORMS[name](8).eval()(torch.randn(1, 8))


def test_learned_eps_and_groups_of_channels_make_one_position_possible():
    """What is refused for a channel of one position has a definition in the papers: a learned eps, and groups."""
    for norm in (NORMS["frn"](8, learn_eps=True), NORMS["evonorm_s0"](8)):
        for shape in ((4, 8), (4, 8, 1, 1), (1, 8)):
            assert norm(torch.randn(shape)).isfinite().all()


def test_untracked_statistics_of_one_value_at_evaluation():
    with pytest.raises(Impossible, match="gives 1"):
        NORMS["batch"](8, track=False).eval()(torch.randn(1, 8))


@pytest.mark.parametrize("name", ["group", "evonorm_s0"])
def test_groups_must_divide_channels(name):
    with pytest.raises(Impossible, match=r"norm\.groups=5 .* 12: choose one of 1, 2, 3, 4, 6, 12"):
        NORMS[name](12, groups=5)


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        NORMS["renorm"](8, r_max=0.5, d_max=-1.0, warmup_steps=-1, affine="weight")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("batch", {"eps": 0.0}, r"norm\.eps=0\.0: must be a finite number above 0"),
        ("batch", {"momentum": 1.5}, r"norm\.momentum=1\.5"),
        ("ghost", {"chunk": 0}, r"norm\.chunk=0: must be at least 1"),
        ("group", {"groups": 0}, r"norm\.groups=0: must be at least 1"),
        ("layer", {"over": "channel"}, r"norm\.over=channel: did you mean 'channels'\? Allowed: all, channels"),
        ("rms", {"over": "x"}, r"norm\.over=x: Allowed"),
        ("evonorm_s0", {"groups": 0}, r"norm\.groups=0: must be at least 1"),
        ("frn", {"eps": -1.0}, r"norm\.eps=-1\.0: must be a finite number above 0"),
        ("dyt", {"alpha": 0.0}, r"norm\.alpha=0\.0: must be a finite number above 0"),
        ("derf", {"s": float("inf")}, r"norm\.s=inf: must be a finite number"),
        ("isru", {"alpha": -1.0}, r"norm\.alpha=-1\.0: must be a finite number above 0"),
        ("grn", {"eps": 0.0}, r"norm\.eps=0\.0: must be a finite number above 0"),
        ("ghost_noise", {"chunk": 0}, r"norm\.chunk=0: must be at least 1"),
        ("prepbn", {"decay_steps": 0}, r"norm\.decay_steps=0: must be at least 1"),
        ("noisy_batch", {"scale": 0.5}, r"norm\.scale=0\.5: must be at least 1"),
        ("noisy_batch", {"shift_spread": -0.1}, r"norm\.shift_spread=-0\.1: must be at least 0"),
        ("switchable", {"momentum": 0.0}, r"norm\.momentum=0\.0"),
        ("instance", {"affine": "boht"}, "did you mean 'both'"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(InvalidRequest, match=message):
        NORMS[name](8, **options)
