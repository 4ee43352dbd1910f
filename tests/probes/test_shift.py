"""Shifted images, and what batch statistics make of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnbench.data import SHIFTS
from bnbench.norms import NORMS, BatchNorm
from bnbench.probes.shift import STATISTICS
from tests.conftest import make_spec
from tests.probes.networks import data_of, measure, pause_of, values_of


@pytest.mark.parametrize("kind", [BatchNorm, NORMS["precise"]])
def test_batch_norm_undoes_a_shift_of_all_images_with_their_own_statistics_only(kind: type[BatchNorm]):
    """Two classes of flat images at -1 and 1; brighter ones all look like the second to running statistics.

    So they do to statistics that are recomputed for each evaluation, which are those of training images as they are.
    """
    y = torch.arange(200) % 2
    x = (2.0 * y - 1).view(-1, 1, 1, 1).expand(200, 1, 4, 4).contiguous()
    norm = kind(1)
    norm.running_mean, norm.running_var = torch.zeros(1), torch.ones(1)
    network = nn.Sequential(norm, nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        network[2].weight.copy_(torch.stack([-torch.ones(16), torch.ones(16)]))
        network[2].bias.zero_()
    pause = pause_of("shift", make_spec("batch_size=50"), network, data_of(x, y))
    values = {name: value for (_, name), value in values_of("shift", pause).items()}
    for severity in ("clean", "brightness_0.5", "contrast_0.7", "blur_2"):
        assert values[f"{severity}_running"] == values[f"{severity}_batch"] == values[f"{severity}_recomputed"] == 1
    assert values["brightness_2_running"] == 0.5
    assert values["brightness_2_batch"] == values["brightness_2_recomputed"] == 1


def test_every_shift_severity_and_kind_of_statistics_has_its_value():
    values = measure("shift", "model=mlp", "norm=none")
    labels = ["clean", *SHIFTS]
    assert set(values) == {("network", f"{label}_{statistics}") for label in labels for statistics in STATISTICS}
    for label in labels:
        assert len({values["network", f"{label}_{statistics}"] for statistics in STATISTICS}) == 1, "no statistics"
