"""Datasets as device-resident tensors, and batches of them."""

from bnbench.data.batches import Draws, augment, draw_epoch, normalize, stacked, training_batch
from bnbench.data.datasets import DATA_FACTS, DATASETS
from bnbench.data.examples import Data, Examples, to_device
from bnbench.data.fingerprint import fingerprint
from bnbench.data.lanes import LaneExamples, examples_of_lanes
from bnbench.data.loading import load, require_splits
from bnbench.data.orders import Grouped, Order, Shuffled, order_of, steps_per_epoch
from bnbench.data.raw import Raw, as_raw
from bnbench.data.shifts import SHIFTS, Shift
from bnbench.schema.augmentation import COMMON, Augmentation

__all__ = [
    "COMMON",
    "DATASETS",
    "DATA_FACTS",
    "SHIFTS",
    "Augmentation",
    "Data",
    "Draws",
    "Examples",
    "Grouped",
    "LaneExamples",
    "Order",
    "Raw",
    "Shift",
    "Shuffled",
    "as_raw",
    "augment",
    "draw_epoch",
    "examples_of_lanes",
    "fingerprint",
    "load",
    "normalize",
    "order_of",
    "require_splits",
    "stacked",
    "steps_per_epoch",
    "to_device",
    "training_batch",
]
