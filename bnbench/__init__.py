"""bnbench: ablation studies of normalization layers.

From a notebook: ``run``, ``sweep``, ``compare``, ``report``, ``verdicts``, ``load``, ``load_probes``, ``load_network``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, which takes long to import; nobody can answer Ctrl-C yet
__all__ = ["__version__", "compare", "load", "load_network", "load_probes", "report", "run", "sweep", "verdicts"]

if TYPE_CHECKING:
    from typing import Any

    from bnbench.api import compare, load, load_network, load_probes, report, run, sweep, verdicts

    __version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow, and nobody can answer Ctrl-C yet while this module is imported

        return version("bnbench")
    if name in __all__:
        from bnbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bnbench' has no attribute {name!r}")
