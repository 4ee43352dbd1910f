"""The components of a run as they are known without torch: the built-in ones as the package ships them."""

from bnbench.schema.augmentation import COMMON, Augmentation
from bnbench.schema.describe import describe
from bnbench.schema.description import Description, Descriptions, Known, Parts
from bnbench.schema.facts import DataFacts, Facts
from bnbench.schema.shipped import SHIPPED, Shipped, built_in, encode

__all__ = [
    "COMMON",
    "SHIPPED",
    "Augmentation",
    "DataFacts",
    "Description",
    "Descriptions",
    "Facts",
    "Known",
    "Parts",
    "Shipped",
    "built_in",
    "describe",
    "encode",
]
