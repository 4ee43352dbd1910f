"""Domains: a stratified division that only the split's seed decides, and images changed as the probe changes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bnbench.data import SHIFTS, Data, Raw, load
from bnbench.data.domains import CHUNK, deal
from bnbench.data.measures import statistics
from bnbench.errors import InvalidRequest
from bnbench.probes import shift as shift_module
from bnbench.spec import Choice, Domain, Split
from tests.conftest import load_data, make_spec
from tests.probes.networks import pause_of

PARTS = ("train", "validation", "test")
DIGITS = ("split.validation=0.2",)


def loaded(*settings: str) -> Data:
    return load_data(make_spec(*DIGITS, *settings))


def test_the_domains_are_the_plain_one_and_all_shifts_of_the_probe():
    assert get_args(Domain) == ("plain", *SHIFTS)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.integers(1, 13), st.integers(0, 2**40))
def test_a_deal_is_even_over_all_and_within_each_class(labels: list[int], hands: int, seed: int):
    y = torch.tensor(labels)
    hand_N = deal(y, hands, torch.Generator().manual_seed(seed))
    for some in (hand_N, *(hand_N[y == label] for label in set(labels))):
        counts = torch.bincount(some, minlength=hands)
        assert len(counts) == hands and counts.max() - counts.min() <= 1
    assert torch.equal(hand_N, deal(y, hands, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("name", SHIFTS)
def test_images_of_a_domain_are_changed_as_the_probe_changes_them(name: str, monkeypatch: pytest.MonkeyPatch):
    """The probe is watched at work on the same images, with the same random numbers."""
    plain, mixed = loaded(), loaded(f"domains=[plain,{name}]")
    seen: list[tuple[Any, torch.Tensor, torch.Tensor]] = []

    def watched(x: torch.Tensor, std: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        changed = SHIFTS[name](x, std, rng)
        seen.append((x, std, changed))
        return changed

    monkeypatch.setattr(shift_module, "SHIFTS", {name: watched})
    spec = make_spec(*DIGITS, "model=mlp", "norm=none")
    shift_module.shift(pause_of("shift", spec, data=plain))
    (_, std, _), (before, _, after) = seen
    assert torch.equal(std, plain.std)
    part, changed = plain.validation, mixed.validation
    chosen = changed.domain == 1
    assert chosen.any() and torch.equal(changed.x[~chosen], part.x[~chosen].float())
    assert not torch.equal(changed.x[chosen], part.x[chosen].float())
    if "noise" in name:
        spread = (changed.x[chosen] - part.x[chosen].float()).std() / (after - before).std()
        assert spread == pytest.approx(1, abs=0.05)
        return
    shown = {image.numpy().tobytes(): row for row, image in enumerate(before)}
    rows = torch.tensor([shown[image.float().numpy().tobytes()] for image in part.x[chosen]])
    torch.testing.assert_close(changed.x[chosen], after[rows], rtol=1e-6, atol=1e-4)


def test_every_part_is_divided_and_labels_stay():
    plain, mixed = loaded(), loaded("domains=[brightness_1,brightness_2,plain]")
    for name in PARTS:
        before, after = getattr(plain, name), getattr(mixed, name)
        assert torch.equal(before.y, after.y) and before.domain is None
        counts = torch.bincount(after.domain, minlength=3)
        assert counts.max() - counts.min() <= 1
        added = (after.x - before.x).flatten(1)
        torch.testing.assert_close(added, (plain.std * torch.tensor([1.0, 2, 0])[after.domain])[:, None].expand(-1, 64))


def test_the_images_as_loaded_stay():
    before = loaded().train.x.clone()
    loaded("domains=[noise_1]")
    assert torch.equal(loaded().train.x, before)


def test_float_images_are_not_written_to():
    """Neither those of the loader, nor the data without domains, which is kept."""
    x, y = torch.rand(40, 1, 4, 4), torch.arange(40) % 2
    kept, split, loaders = x.clone(), Split(0, 0.2, 0.2, None), {"mine": lambda root: Raw(x, y, x, y)}
    plain = load(Choice.of("mine"), split, Path("absent"), loaders)
    before = [getattr(plain, name).x.clone() for name in PARTS]
    load(Choice.of("mine"), split, Path("absent"), loaders, ("contrast_0.2",))
    assert torch.equal(x, kept)
    assert all(torch.equal(getattr(plain, name).x, part) for name, part in zip(PARTS, before, strict=True))


def test_the_data_is_normalized_by_the_images_that_are_trained():
    mixed = loaded("domains=[plain,brightness_2]")
    mean, std = statistics(mixed.train.x)
    assert torch.equal(mixed.mean, mean) and torch.equal(mixed.std, std)
    assert mixed.mean > loaded().mean


def test_the_division_depends_on_the_seed_of_the_split_and_the_number_of_domains_only():
    def domain(*settings: str) -> torch.Tensor:
        found = loaded(*settings).train.domain
        assert found is not None
        return found

    first = domain("domains=[plain,contrast_0.4]")
    for same in (["domains=[noise_1,blur_1]"], ["domains=[plain,contrast_0.4]", "seed=7", "batches=alternating"]):
        assert torch.equal(first, domain(*same))
    assert not torch.equal(first, domain("domains=[plain,contrast_0.4]", "split.seed=1"))


def test_noise_is_drawn_anew_for_each_part_and_each_chunk():
    images = torch.zeros(3 * CHUNK, 1, 2, 2)
    images[: CHUNK // 2] = 1.0
    value, split = (images, torch.arange(len(images)) % 2), Split(0, 0.3, 0.3, None)
    data = load(Choice.of("mine"), split, Path("absent"), {"mine": lambda root: value}, ("noise_1",))
    assert len(data.train) > CHUNK
    whole = torch.cat([getattr(data, name).x for name in PARTS]).flatten(1)
    assert len(whole.unique(dim=0)) == len(whole)


def test_features_are_refused_what_would_not_change_them():
    values = torch.rand(40, 3, 1, 1), torch.arange(40) % 2

    def of(*domains: Domain) -> Data:
        return load(Choice.of("mine"), Split(0, 0.2, 0.2, None), Path("absent"), {"mine": lambda _: values}, domains)

    with pytest.raises(InvalidRequest) as refused:
        of("contrast_0.4", "plain", "blur_2")
    assert len(refused.value.problems) == 2
    assert all("features have no pixels" in problem for problem in refused.value.problems)
    assert of("plain", "brightness_1").train.domain is not None
