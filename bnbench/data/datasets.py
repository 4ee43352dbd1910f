"""The registry of datasets: loaders by name, and a line about each."""

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

DESCRIPTIONS: dict[str, str] = {
    "digits": "1x8x8, 10 classes, 1,797 images, no official test set; comes with scikit-learn",
    "wine": "13 features, 3 classes, 178 wines, no official test set; comes with scikit-learn",
    "breast_cancer": "30 features, 2 classes, 569 tumors, no official test set; comes with scikit-learn",
    "covtype": "54 features, 7 classes, 581,012 cells of forest, no official test set; a file of the UCI repository",
    "mnist": "1x28x28, 10 classes, 60,000 + 10,000 handwritten digits; torchvision layout, downloaded on first use",
    "fashion_mnist": "1x28x28, 10 classes, 60,000 + 10,000 clothes; torchvision layout, downloaded on first use",
    "kmnist": "1x28x28, 10 classes, 60,000 + 10,000 cursive characters; torchvision layout, downloaded on first use",
    "cifar10": "3x32x32, 10 classes, 50,000 + 10,000 photographs; torchvision layout, downloaded on first use",
    "cifar100": "3x32x32, 100 classes, 50,000 + 10,000 photographs; torchvision layout, downloaded on first use",
    "svhn": "3x32x32, 10 classes, 73,257 + 26,032 house numbers; torchvision layout, downloaded on first use",
    "imagefolder": "3 x size x size, your own images: dataset.path has a folder per class, or train/ and test/ of them",
    "npz": "your own arrays: dataset.path with x, y and optionally x_test, y_test; images or features",
    "csv": "your own table: dataset.path with named columns, of which dataset.label is one; the others are features",
    "text": "characters, labelled by the next ones, of your own file, dataset.path, or of lines such as 12+7=19",
    "synthetic": "channels x size x size, Gaussian prototypes plus noise, made on the spot, no official test set",
}
"""One line per dataset: shape, classes, training + test examples, where it comes from."""
