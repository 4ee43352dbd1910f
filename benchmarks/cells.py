"""What is measured: a network, images and a batch size, and a sweep of learning rates and seeds over them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import own_norm
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data
from bnbench.errors import BnbenchError
from bnbench.models import MODELS
from bnbench.norms import LayerNorm

BATCH_SIZES = (2, 8, 32, 128)
LEARNING_RATES = (0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008)
"""None of them diverges, so that everybody trains every step."""
SEEDS = 10
MOMENTUM = 0.9


@dataclass(frozen=True)
class Workload:
    """A network and images.

    Attributes:
        model: as bnbench calls it.
        images: digits, mnist or cifar.
        examples: how many images there are for training, validation and test together; None for all.
        epochs: passes of a run; one evaluation on the validation examples after each, one on the test examples at the
            end.
        seeds: runs per learning rate.
        augment: random crops and flips.
        norm: batch, for peers that of torch; layer, which is bnbench's for all; or own, a plugin's.
    """

    model: str
    images: str
    examples: int | None
    epochs: int
    seeds: int = SEEDS
    augment: bool = False
    norm: str = "batch"

    @property
    def plugin(self) -> Path | None:
        """The file that defines the norm, if bnbench does not."""
        return Path(own_norm.__file__) if self.norm in own_norm.NORMS else None


WORKLOADS = {
    "digits-mlp": Workload("mlp", "digits", None, 30),
    "digits-cnn": Workload("cnn", "digits", None, 10),
    "mnist-mlp": Workload("mlp", "mnist", 1800, 10),
    "mnist-cnn": Workload("cnn", "mnist", 1800, 2),
    "cifar-resnet20": Workload("resnet20", "cifar", 800, 3, seeds=1, augment=True),
    "digits-vit": Workload("vit", "digits", None, 2, norm="layer"),
    "mnist-vit": Workload("vit", "mnist", 600, 1, seeds=1, norm="layer"),
    "digits-mlp-own": Workload("mlp", "digits", None, 30, norm="own"),
    "mnist-cnn-own": Workload("cnn", "mnist", 1800, 2, norm="own"),
}


@dataclass(frozen=True)
class Job:
    """What a peer is told, as JSON.

    Attributes:
        images: an npz file with x_train, y_train, x_val, y_val, x_test, y_test; x [N, C, H, W] uint8.
        epochs: of one run; ``measured`` of them are trained and timed, and stand for all.
        device: where a peer that can trains.
    """

    images: str
    model: str
    batch_size: int
    lr: float
    momentum: float
    augment: bool
    epochs: int
    measured: int
    norm: str = "batch"
    device: str = "cpu"

    def write(self, path: Path) -> Path:
        """Write the job for a peer."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @staticmethod
    def read(path: str) -> Job:
        """Read what :meth:`write` wrote."""
        return Job(**json.loads(Path(path).read_text()))


def network(model: str, norm: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network that bnbench trains, with torch's own batch normalization, if that is it, and initial weights."""
    batch = nn.BatchNorm1d if model == "mlp" else nn.BatchNorm2d
    return MODELS[model]({"batch": batch, "layer": LayerNorm, **own_norm.NORMS}[norm], shape, classes)


def overrides(workload: Workload, batch_size: int, images: Path) -> list[str]:
    """The sweep, in the words of bnbench."""
    return [
        f"model={workload.model}",
        f"norm={workload.norm}",
        "dataset=npz",
        f"dataset.path={images}",
        *(["dataset.pad=4", "dataset.flip=true"] if workload.augment else []),
        f"batch_size={batch_size}",
        f"lr={','.join(map(str, LEARNING_RATES))}",
        f"optim.momentum={MOMENTUM}",
        f"seed=range({workload.seeds})",
        f"epochs={workload.epochs}",
    ]


def write_images(workload: Workload, data: Path, folder: Path) -> tuple[Path, Path, str]:
    """The same images for bnbench and for the peers, and where they come from.

    Without the real files in ``data``, Gaussian classes of the same shape take their place: the time is the same.
    """
    source = {"digits": "digits", "mnist": "mnist", "cifar": "imagefolder"}[workload.images]
    size = {"digits": 8, "mnist": 28, "cifar": 32}[workload.images]
    options = ["dataset.path=cifar10_jpeg"] if source == "imagefolder" else []
    try:
        whole = _load([f"dataset={source}", *options], data)
    except BnbenchError:
        source = "synthetic"
        sizes = [f"dataset.size={size}", f"dataset.channels={3 if workload.images == 'cifar' else 1}"]
        whole = _load(["dataset=synthetic", *sizes, f"dataset.examples={workload.examples}"], data)
    x, y = torch.cat([whole.train.x, whole.test.x]), torch.cat([whole.train.y, whole.test.y])
    chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))[: workload.examples]
    ours = folder / f"{workload.images}-{len(chosen)}.npz"
    np.savez(ours, x=x[chosen].numpy(), y=y[chosen].numpy())
    split = _load(["dataset=npz", f"dataset.path={ours}"], data)
    parts = {"train": split.train, "val": split.validation, "test": split.test}
    theirs = folder / f"{workload.images}-{len(chosen)}-parts.npz"
    arrays = {f"{axis}_{name}": getattr(part, axis).numpy() for name, part in parts.items() for axis in "xy"}
    np.savez(theirs, **arrays)
    return ours, theirs, source


def _load(words: list[str], data: Path) -> Data:
    parts = components(None)
    (spec,) = compose_request(words, parts).specs
    return parts.load(spec, data)
