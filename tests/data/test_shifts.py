"""Shifted images, each shift against its definition."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from bnbench.data import SHIFTS
from bnbench.data.shifts import SEVERITIES, blur, brightness, contrast, noise

RNG = torch.Generator()
ONE = torch.ones(3)
IMAGES = 10 * torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_contrast_keeps_the_mean_of_an_image_and_scales_its_deviation():
    changed = contrast(0.4, IMAGES, ONE, RNG)
    torch.testing.assert_close(changed.mean((2, 3)), IMAGES.mean((2, 3)))
    torch.testing.assert_close(changed.std((2, 3)), 0.4 * IMAGES.std((2, 3)))


def test_brightness_and_noise_are_in_standard_deviations_of_the_data():
    torch.testing.assert_close(brightness(0.5, IMAGES, 4 * ONE, RNG), IMAGES + 2)
    added = noise(0.5, IMAGES, 4 * ONE, RNG.manual_seed(0)) - IMAGES
    assert added.std().item() == pytest.approx(2, rel=0.05) and abs(added.mean().item()) < 0.1
    assert torch.equal(added, noise(0.5, IMAGES, 4 * ONE, RNG.manual_seed(0)) - IMAGES)


@pytest.mark.parametrize("sigma", SEVERITIES[blur])
def test_blur_is_that_of_torchvision_away_from_the_edge(sigma: float):
    radius = round(3 * sigma + 0.499)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = gaussian_blur(images, [2 * radius + 1] * 2, [sigma] * 2)
    inside = slice(radius, 32 - radius)
    torch.testing.assert_close(blur(sigma, images, ONE, RNG)[:, :, inside, inside], expected[:, :, inside, inside])
    torch.testing.assert_close(blur(sigma, torch.ones(2, 3, 4, 4), ONE, RNG), torch.ones(2, 3, 4, 4))
    assert torch.equal(blur(sigma, torch.ones(2, 3, 1, 1), ONE, RNG).round(), torch.ones(2, 3, 1, 1))


def test_a_shift_goes_by_its_kind_and_severity():
    assert len(SHIFTS) == sum(map(len, SEVERITIES.values())) == 12
    assert torch.equal(SHIFTS["contrast_0.4"](IMAGES, ONE, RNG), contrast(0.4, IMAGES, ONE, RNG))
    assert torch.equal(SHIFTS["brightness_2"](IMAGES, ONE, RNG), IMAGES + 2)
