"""The registry against the configuration files, and the datasets that need no files."""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from bnbench.data import COMMON, DATA_FACTS, DATASETS, load, normalize
from bnbench.data.embedded import breast_cancer, digits, synthetic, wine
from bnbench.data.fingerprint import downloaded_files, fingerprint
from bnbench.errors import DataMissing, InvalidRequest
from bnbench.models import MODELS
from bnbench.plan.vectors import TAKES_TEXTS, TAKES_VECTORS
from bnbench.schema import built_in
from bnbench.spec import Choice, Split

CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"
SPLIT = Split(seed=0, validation=0.1, test=0.2, train=None)


def test_every_dataset_has_a_configuration_and_facts() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(DATASETS) == set(DATA_FACTS)
    assert built_in().datasets == DATA_FACTS


@pytest.mark.parametrize("name", DATASETS)
def test_the_facts_say_what_a_dataset_is_read_from(name: str, tmp_path: Path) -> None:
    """Own files are at a path and are never downloaded; what has no files is loaded without any."""
    own = "path" in inspect.signature(DATASETS[name]).parameters
    downloaded = bool(downloaded_files(name))
    assert DATA_FACTS[name].files == ("own" if own else "downloaded" if downloaded else "none")
    if not own and not downloaded:
        DATASETS[name](tmp_path)
        assert fingerprint(Choice.of(name), tmp_path) is None and not list(tmp_path.iterdir())


def test_own_files_have_a_fingerprint(tmp_path: Path) -> None:
    """Of one that cannot be, because there are no files yet, it is said; text is made without one."""
    for name in (name for name, facts in DATA_FACTS.items() if facts.files == "own" and name != "text"):
        with pytest.raises(DataMissing, match=f"dataset={name}"):
            fingerprint(Choice.of(name, {"path": "absent"}), tmp_path)
    assert fingerprint(Choice.of("text"), tmp_path) is not None


@pytest.mark.parametrize("name", [name for name, facts in DATA_FACTS.items() if facts.files == "none"])
def test_the_facts_say_what_an_example_is(name: str, tmp_path: Path) -> None:
    positions = math.prod(DATASETS[name](tmp_path).train_x.shape[2:])
    assert DATA_FACTS[name].kind == ("features" if positions == 1 else "image")


def test_models_that_take_other_data_than_images_are_there() -> None:
    assert {*TAKES_VECTORS, *TAKES_TEXTS} <= set(MODELS)


@pytest.mark.parametrize("name", DATASETS)
def test_defaults_are_those_of_the_configuration(name: str) -> None:
    root, *own = inspect.signature(DATASETS[name]).parameters.values()
    configured = yaml.safe_load((CONF / f"{name}.yaml").read_text()) or {}
    assert root.name == "root"
    assert all(option.kind == option.KEYWORD_ONLY for option in own)
    assert set(configured) == {option.name for option in own} | set(COMMON)
    assert {option.name: option.default for option in own} == {
        key: value for key, value in configured.items() if key not in COMMON
    }


def test_digits_are_those_of_scikit_learn() -> None:
    raw, official = digits(Path("absent")), load_digits()
    assert raw.train_x.dtype == torch.uint8
    assert raw.train_x.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(np.round(raw.train_x[:, 0].numpy() * (16 / 255)), official.images)
    np.testing.assert_array_equal(raw.train_y.numpy(), official.target)
    assert (int(raw.train_x.min()), int(raw.train_x.max())) == (0, 255)


TABLES = {"wine": (wine, load_wine, (178, 13)), "breast_cancer": (breast_cancer, load_breast_cancer, (569, 30))}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_scikit_learn(name: str) -> None:
    table, official, shape = TABLES[name]
    raw, expected = table(Path("absent")), official()
    assert raw.train_x.shape == (*shape, 1, 1)
    np.testing.assert_array_equal(raw.train_x[:, :, 0, 0].numpy(), expected.data)
    np.testing.assert_array_equal(raw.train_y.numpy(), expected.target)
    assert raw.classes == tuple(expected.target_names)


def test_features_are_standardized_by_the_training_part_alone(tmp_path: Path) -> None:
    """The oracle is in float64; what is trained on is float32 from a float32 mean, a few units of 2**-24 away."""
    data, everything = load(Choice.of("wine"), SPLIT, tmp_path), load_wine().data
    assert [len(part) for part in (data.train, data.validation, data.test)] == [128, 14, 36]
    rows = everything[data.train.positions]
    mean, std = rows.mean(0), rows.std(0)
    assert np.abs(mean - everything.mean(0)).max() > 1e-3
    for part in (data.train, data.validation, data.test):
        x = normalize(part.x, data.mean, data.std, torch.float32)[:, :, 0, 0].numpy()
        np.testing.assert_allclose(x, (everything[part.positions] - mean) / std, atol=2e-5)


def test_tables_from_the_library_when_its_files_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = wine(Path("absent"))
    monkeypatch.setattr("bnbench.data.embedded.importlib.util.find_spec", lambda name: None)
    found = wine(Path("absent"))
    assert torch.equal(found.train_x, expected.train_x) and torch.equal(found.train_y, expected.train_y)


def test_digits_from_the_library_when_its_file_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digits(Path("absent"))
    monkeypatch.setattr("bnbench.data.embedded.importlib.util.find_spec", lambda name: None)
    assert torch.equal(digits(Path("absent")).train_x, expected.train_x)


def test_synthetic_is_deterministic_balanced_and_learnable() -> None:
    raw, again = synthetic(Path(), examples=600, size=8), synthetic(Path(), examples=600, size=8)
    assert torch.equal(raw.train_x, again.train_x)
    assert raw.train_x.shape == (600, 3, 8, 8)
    assert torch.bincount(raw.train_y).tolist() == [60] * 10
    x = raw.train_x.float().flatten(1)
    centers = torch.stack([x[:300][raw.train_y[:300] == label].mean(0) for label in range(10)])
    nearest = torch.cdist(x[300:], centers).argmin(1)
    assert (nearest == raw.train_y[300:]).float().mean() > 0.95


def test_synthetic_names_every_wrong_option() -> None:
    with pytest.raises(InvalidRequest) as caught:
        synthetic(Path(), examples=3, channels=0, size=0, classes=4)
    assert [problem.split("=")[0] for problem in caught.value.problems] == [
        "dataset.examples",
        "dataset.channels",
        "dataset.size",
    ]


@pytest.mark.parametrize("huge", [{"examples": 10**10}, {"size": 10**5}, {"examples": 10**8, "classes": 10**8}])
def test_synthetic_refuses_what_takes_too_much_memory(huge: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match="GiB of memory; at most 16 GiB"):
        synthetic(Path(), **huge)


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_what_needs_no_files_loads_from_an_absent_folder(name: str, tmp_path: Path) -> None:
    data = load(Choice.of(name), SPLIT, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    assert data.classes == 10
    assert data.train.x.shape[1:] == data.shape
