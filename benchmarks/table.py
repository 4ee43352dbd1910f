"""The measured times as ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median

REQUIRED = {
    ("digits-mlp", "plain"): 25.0,
    ("digits-cnn", "plain"): 8.0,
    ("mnist-mlp", "plain"): 10.0,
    ("mnist-cnn", "plain"): 2.5,
    ("cifar-resnet20", "plain"): 1.3,
    ("digits-vit", "plain"): 10.0,
    ("mnist-vit", "plain"): 4.0,
    ("text-gpt", "plain"): 4.0,
    ("breast-cancer-mlp", "plain"): 30.0,
    ("cifar-resnet18", "plain"): 1.5,
    ("cifar-mobilenet_v2", "plain"): 1.5,
    ("mnist-cnn-own", "plain"): 4.0,
}
"""The least that the geometric mean over batch sizes has to be."""


@dataclass(frozen=True)
class Measured:
    """The rounds of one cell.

    Attributes:
        seconds: by who trained, one number per round: ``bnbench`` and the peers.
        floor: seconds that the products of the sweep take at the rate of a large one on all cores.
        lanes: most runs that bnbench trained as one network.
        peak_bytes: of bnbench.
    """

    workload: str
    batch_size: int
    runs: int
    source: str
    seconds: Mapping[str, Sequence[float]]
    floor: float
    lanes: int
    peak_bytes: int

    def ratios(self, peer: str) -> list[float]:
        """Seconds of a peer by those of bnbench in the same round."""
        return [theirs / ours for theirs, ours in zip(self.seconds[peer], self.seconds["bnbench"], strict=False)]


def table(cells: Sequence[Measured]) -> str:
    """Markdown: a row per cell, a ratio per peer with its range over the rounds, and the means over batch sizes."""
    peers = [name for name in cells[0].seconds if name != "bnbench"]
    lines = [
        f"| cell | batch | runs | images | bnbench s | floor s | lanes | peak MB | {' | '.join(peers)} |",
        f"|---|--:|--:|---|--:|--:|--:|--:|{'--:|' * len(peers)}",
    ]
    for cell in cells:
        ratios = " | ".join(_ratio(cell.ratios(peer)) for peer in peers)
        ours = f"{median(cell.seconds['bnbench']):.1f} | {cell.floor:.1f} | {cell.lanes} | {cell.peak_bytes / 1e6:.0f}"
        lines.append(f"| {cell.workload} | {cell.batch_size} | {cell.runs} | {cell.source} | {ours} | {ratios} |")
    for workload in dict.fromkeys(cell.workload for cell in cells):
        means = [
            geometric_mean(median(cell.ratios(peer)) for cell in cells if cell.workload == workload) for peer in peers
        ]
        marks = [_required(workload, peer, mean) for peer, mean in zip(peers, means, strict=True)]
        lines.append(f"| **{workload}** | all | | | | | | | {' | '.join(marks)} |")
    return "\n".join(lines)


def _ratio(ratios: Sequence[float]) -> str:
    spread = f" ({min(ratios):.1f}-{max(ratios):.1f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.1f}x{spread}"


def _required(workload: str, peer: str, mean: float) -> str:
    least = REQUIRED.get((workload, peer))
    wanted = "" if least is None else f" (at least {least:g}x: {'yes' if mean >= least else 'NO'})"
    return f"**{mean:.1f}x**{wanted}"
