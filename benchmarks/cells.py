"""What is measured: a network, images and a batch size, and a sweep of learning rates and seeds over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import own_norm
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data, Examples, normalize
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
    """A network and data.

    Attributes:
        model: as bnbench calls it.
        images: digits, mnist or cifar; or a dataset of bnbench's that is no images: text, breast_cancer.
        examples: how many images there are for training, validation and test together; None for all.
        epochs: passes of a run; one evaluation on the validation examples after each, one on the test examples at the
            end.
        seeds: runs per learning rate.
        augment: random crops and flips.
        norm: batch, for peers that of torch; layer, which is bnbench's for all; or own, a plugin's.
        options: of the model, names and values.
    """

    model: str
    images: str
    examples: int | None
    epochs: int
    seeds: int = SEEDS
    augment: bool = False
    norm: str = "batch"
    options: tuple[tuple[str, int | str], ...] = ()

    @property
    def is_images(self) -> bool:
        """Whether the data are pixels, which a script reads and normalizes one by one."""
        return self.images in SIZES

    @property
    def plugin(self) -> Path | None:
        """The file that defines the norm, if bnbench does not."""
        return Path(own_norm.__file__) if self.norm in own_norm.NORMS else None


SIZES = {"digits": 8, "mnist": 28, "cifar": 32}
"""Height and width of images."""
NO_IMAGES = {"text": ("dataset=text", "dataset.context=64"), "breast_cancer": ("dataset=breast_cancer",)}
WORKLOADS = {
    "digits-mlp": Workload("mlp", "digits", None, 30),
    "digits-cnn": Workload("cnn", "digits", None, 10),
    "mnist-mlp": Workload("mlp", "mnist", 1800, 10),
    "mnist-cnn": Workload("cnn", "mnist", 1800, 2),
    "cifar-resnet20": Workload("resnet20", "cifar", 800, 3, seeds=1, augment=True),
    "digits-vit": Workload("vit", "digits", None, 10, norm="layer"),
    "mnist-vit": Workload("vit", "mnist", 1800, 1, seeds=2, norm="layer"),
    "text-gpt": Workload("gpt", "text", None, 10, seeds=3, norm="layer", options=(("depth", 4),)),
    "breast-cancer-mlp": Workload("mlp", "breast_cancer", None, 300),
    "cifar-resnet18": Workload("torchvision", "cifar", 800, 3, seeds=1, options=(("name", "resnet18"),)),
    "cifar-mobilenet_v2": Workload("torchvision", "cifar", 800, 3, seeds=1, options=(("name", "mobilenet_v2"),)),
    "digits-mlp-own": Workload("mlp", "digits", None, 30, norm="own"),
    "mnist-cnn-own": Workload("cnn", "mnist", 1800, 2, norm="own"),
}


@dataclass(frozen=True)
class Job:
    """What a peer is told, as JSON.

    Attributes:
        images: an npz file with x_train, y_train, x_val, y_val, x_test, y_test; x [N, C, H, W], uint8 for images, else
            float32, which is trained on as it is.
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
    options: tuple[tuple[str, int | str], ...] = ()

    def write(self, path: Path) -> Path:
        """Write the job for a peer."""
        path.write_text(json.dumps(asdict(self)))
        return path

    @staticmethod
    def read(path: str) -> Job:
        """Read what :meth:`write` wrote."""
        return Job(**json.loads(Path(path).read_text()))


def network(job: Job, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network that bnbench trains, with torch's own batch normalization, if that is it, and initial weights."""
    batch = nn.BatchNorm1d if job.model == "mlp" else nn.BatchNorm2d
    norm = {"batch": batch, "layer": LayerNorm, **own_norm.NORMS}[job.norm]
    return MODELS[job.model](norm, shape, classes, **dict(job.options))


def overrides(workload: Workload, batch_size: int, images: Path) -> list[str]:
    """The sweep, in the words of bnbench."""
    return [
        f"model={workload.model}",
        *(f"model.{name}={value}" for name, value in workload.options),
        f"norm={workload.norm}",
        *(["dataset=npz", f"dataset.path={images}"] if workload.is_images else NO_IMAGES[workload.images]),
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
    if not workload.is_images:
        split = _load([*NO_IMAGES[workload.images]], data)
        return data, _write_parts(split, folder / f"{workload.images}.npz", _shown), workload.images
    source = {"digits": "digits", "mnist": "mnist", "cifar": "imagefolder"}[workload.images]
    size = SIZES[workload.images]
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
    return ours, _write_parts(split, folder / f"{workload.images}-{len(chosen)}-parts.npz", _pixels), source


def _write_parts(split: Data, path: Path, seen: Callable[[Data, Examples], Tensor]) -> Path:
    parts = {"train": split.train, "val": split.validation, "test": split.test}
    x = {f"x_{name}": seen(split, part).numpy() for name, part in parts.items()}
    np.savez(path, **x, **{f"y_{name}": part.y.numpy() for name, part in parts.items()})
    return path


def _pixels(split: Data, part: Examples) -> Tensor:
    return part.x


def _shown(split: Data, part: Examples) -> Tensor:
    return normalize(part.x, split.mean, split.std, torch.float32)


def _load(words: list[str], data: Path) -> Data:
    parts = components(None)
    (spec,) = compose_request(words, parts).specs
    return parts.load(spec, data)
