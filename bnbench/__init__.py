"""bnbench: ablation studies of normalization layers from the command line."""

__version__ = "0.1.0"
