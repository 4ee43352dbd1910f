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
        "a batch of 9 in chunks of 4 has a chunk of one example with one position",
    ),
    "ghost chunk=1": ({"chunk": 1}, (4, 8), "choose norm.chunk of at least 2"),
    "renorm": ({}, (1, 8), "gives 1"),
    "instance": ({}, (4, 8), "gives 1: use a larger image"),
    "instance 1x1": ({}, (4, 8, 1, 1), "gives 1"),
    "group": ({"groups": 8}, (4, 8), "use fewer groups"),
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


@pytest.mark.parametrize("name", ["batch", "ghost", "renorm"])
def test_one_example_can_be_evaluated(name):
    NORMS[name](8).eval()(torch.randn(1, 8))


def test_untracked_statistics_of_one_value_at_evaluation():
    with pytest.raises(Impossible, match="gives 1"):
        NORMS["batch"](8, track=False).eval()(torch.randn(1, 8))


def test_groups_must_divide_channels():
    with pytest.raises(Impossible, match=r"norm\.groups=5 .* 12: choose one of 1, 2, 3, 4, 6, 12"):
        NORMS["group"](12, groups=5)


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        NORMS["renorm"](8, r_max=0.5, d_max=-1.0, warmup_steps=-1, affine="weight")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("batch", {"eps": 0.0}, r"norm\.eps=0\.0: must be above 0"),
        ("batch", {"momentum": 1.5}, r"norm\.momentum=1\.5"),
        ("ghost", {"chunk": 0}, r"norm\.chunk=0: must be at least 1"),
        ("group", {"groups": 0}, r"norm\.groups=0: must be at least 1"),
        ("layer", {"over": "channel"}, r"norm\.over=channel: did you mean 'channels'\? Allowed: all, channels"),
        ("rms", {"over": "x"}, r"norm\.over=x: Allowed"),
        ("instance", {"affine": "boht"}, "did you mean 'both'"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(InvalidRequest, match=message):
        NORMS[name](8, **options)
