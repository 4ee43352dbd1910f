"""Datasets as device-resident tensors, and batches of them."""

from bnbench.data.batches import Draws, augment, draw_epoch, normalize, steps_per_epoch, training_batch
from bnbench.data.datasets import DATASETS, DESCRIPTIONS
from bnbench.data.examples import COMMON, Augmentation, Data, Examples
from bnbench.data.loading import load
from bnbench.data.raw import Raw, as_raw

__all__ = [
    "COMMON",
    "DATASETS",
    "DESCRIPTIONS",
    "Augmentation",
    "Data",
    "Draws",
    "Examples",
    "Raw",
    "as_raw",
    "augment",
    "draw_epoch",
    "load",
    "normalize",
    "steps_per_epoch",
    "training_batch",
]
