"""Every norm, with every kind of option, folds exactly; also in its counts of batches."""

from functools import partial

import pytest
import torch
from torch import nn

from bnbench.norms import NORMS, without_activation
from bnbench.stacking import LaneByLane, fold, prove, unfold

OPTIONS = [
    ("none", {}),
    *(("batch", {"affine": affine}) for affine in ("both", "scale", "shift", "none")),
    ("batch", {"track": False}),
    ("batch", {"momentum": None}),
    ("ghost", {"chunk": 2}),
    ("ghost", {"chunk": 3}),
    ("ghost", {"chunk": 64, "affine": "none"}),
    ("renorm", {"warmup_steps": 200, "ramp_steps": 200}),
    ("renorm", {"affine": "none", "r_max": 1.1, "d_max": 0.1}),
    ("group", {"groups": 2, "affine": "scale"}),
    ("instance", {"affine": "both"}),
    ("ws", {"groups": 2, "affine": "shift"}),
    *(("ws", {"statistics": "batch", "affine": affine}) for affine in ("both", "scale", "none")),
    ("ws", {"statistics": "batch", "momentum": None}),
    ("scaled_ws", {}),
    ("weight", {}),
    ("spectral", {}),
    ("fixup", {}),
    *((norm, {"over": over, "affine": affine})
      for norm in ("layer", "rms") for over in ("all", "channels") for affine in ("both", "shift", "none")),
    *((norm, {"affine": affine})
      for norm in ("sync", "l1_batch", "batch_instance", "switchable", "frn", "evonorm_b0", "dyt", "precise",
                   "derf", "isru", "grn", "xbn", "repbn", "prepbn")
      for affine in ("both", "none")),
    *(("evonorm_s0", {"groups": groups}) for groups in (1, 2, 4)),
    ("frn", {"learn_eps": True}),
]  # fmt: skip


@pytest.mark.parametrize(("norm", "options"), OPTIONS)
def test_every_option_is_proved(norm, options):
    def build(seed: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 4, 1), NORMS[norm](4, **options), nn.Flatten(), nn.Linear(4 * 9, 3))

    assert prove(build, (2, 3, 3), 8) is None


@pytest.mark.parametrize(("norm", "options"), OPTIONS)
def test_every_option_has_a_rule(norm, options):
    folded = fold([NORMS[norm](4, **options) for _ in range(2)])
    assert not any(isinstance(layer, LaneByLane) for layer in folded.modules())


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
def test_norms_without_their_activation_fold(norm):
    def build(seed: int) -> nn.Module:
        bare = without_activation(NORMS[norm](4))
        return nn.Sequential(nn.Conv2d(2, 4, 1), bare, nn.Flatten(), nn.Linear(4 * 9, 3))

    assert prove(build, (2, 3, 3), 8) is None


@pytest.mark.parametrize("norm", ["noisy_batch", "ghost_noise"])
def test_layers_that_draw_numbers_run_lane_by_lane(norm):
    def build(seed: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 4, 1), NORMS[norm](4), nn.Flatten(), nn.Linear(4 * 9, 3))

    assert prove(build, (2, 3, 3), 8) is None
    assert isinstance(fold([NORMS[norm](4) for _ in range(2)]).network, LaneByLane)


@pytest.mark.parametrize("norm", ["batch", "ghost", "renorm", "sync", "l1_batch", "evonorm_b0", "switchable", "native"])
def test_lanes_that_have_seen_different_numbers_of_batches_average_on_their_own(norm):
    make = nn.BatchNorm2d if norm == "native" else NORMS[norm]
    lanes = [make(3).double() for _ in range(3)]
    for number, lane in enumerate(lanes):
        lane.momentum = None
        for _ in range(number):
            lane(torch.randn(4, 3, 2, 2).double())
    folded = fold(lanes)
    x_KNCHW = torch.randn(3, 4, 3, 2, 2).double()
    folded(x_KNCHW.flatten(0, 1))
    for number, lane in enumerate(lanes):
        lane(x_KNCHW[number])
        after = unfold(folded, number).state_dict()
        assert after["num_batches_tracked"] == number + 1
        for name, tensor in lane.state_dict().items():
            torch.testing.assert_close(after[name], tensor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_statistics_stay_in_full_precision(norm, dtype):
    lanes = [partial(NORMS[norm], over="channels", affine="both")(4).to(dtype) for _ in range(2)]
    x = torch.randn(10, 4, 3, 3, dtype=dtype)
    expected = torch.cat([lane(part) for lane, part in zip(lanes, x.chunk(2), strict=True)])
    assert fold(lanes)(x).dtype == dtype
    torch.testing.assert_close(fold(lanes)(x), expected)
