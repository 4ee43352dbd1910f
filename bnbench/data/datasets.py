"""The registry of datasets: loaders by name, and facts about each."""

from __future__ import annotations

from collections.abc import Callable

from bnbench.data.archives import cifar10, cifar100, svhn
from bnbench.data.arrays import npz
from bnbench.data.covtype import covtype
from bnbench.data.embedded import breast_cancer, digits, synthetic, wine
from bnbench.data.idx import fashion_mnist, kmnist, mnist
from bnbench.data.images import imagefolder
from bnbench.data.raw import Raw
from bnbench.data.tables import csv
from bnbench.data.texts import text
from bnbench.schema.facts import DataFacts

DATASETS: dict[str, Callable[..., Raw]] = {
    "digits": digits,
    "wine": wine,
    "breast_cancer": breast_cancer,
    "covtype": covtype,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "kmnist": kmnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
    "imagefolder": imagefolder,
    "npz": npz,
    "csv": csv,
    "text": text,
    "synthetic": synthetic,
}
"""Each is ``loader(root, *, <its own options>) -> Raw``; all have the options :data:`bnbench.data.COMMON` as well."""

DATA_FACTS: dict[str, DataFacts] = {
    "digits": DataFacts("image", "none"),
    "wine": DataFacts("features", "none"),
    "breast_cancer": DataFacts("features", "none"),
    "covtype": DataFacts("features", "own"),
    "mnist": DataFacts("image", "downloaded"),
    "fashion_mnist": DataFacts("image", "downloaded"),
    "kmnist": DataFacts("image", "downloaded"),
    "cifar10": DataFacts("image", "downloaded"),
    "cifar100": DataFacts("image", "downloaded"),
    "svhn": DataFacts("image", "downloaded"),
    "imagefolder": DataFacts("image", "own"),
    "npz": DataFacts("image", "own"),
    "csv": DataFacts("features", "own"),
    "text": DataFacts("text", "own"),
    "synthetic": DataFacts("image", "none"),
}
"""What an example of each is, unless an option says otherwise, and the files that it is read from."""
