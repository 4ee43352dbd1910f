"""Whether recorded steps are those that come, and both are the reference engine's."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu.rows import Row, Rows
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.engines import StackOptions, train, train_stack
from bnbench.training import Record

MODELS = ("resnet20", "mlp", "cnn")
NORMS = ("batch", "none", "ghost", "renorm", "layer", "group", "switchable")
ALLOWED = {"fp64": 1e-9, "fp32": 5e-2, "bf16": 0.3}
"""By precision, how far losses may be apart from the reference engine's after the steps, relative."""
LANES = 3


def correctness(device: torch.device, smoke: bool) -> Rows:
    """Train three lanes on digits in three ways; a row says how far the records are apart, relative."""
    for norm in NORMS[:2] if smoke else NORMS:
        for model in MODELS[1:] if smoke else MODELS:
            for precision in ("fp64", "fp32") if smoke or norm != "batch" else ALLOWED:
                yield partial(_compared, model, norm, precision, device, 8 if smoke else 40)


def _compared(model: str, norm: str, precision: str, device: torch.device, steps: int) -> Row:
    words = [f"model={model}", f"norm={norm}", f"precision={precision}", f"steps={steps}", "batch_size=32", "lr=0.001"]
    (spec,) = compose_request([*words, "optim.momentum=0.9", "evaluate.unit=steps"], components()).specs
    data = components().load(spec, Path("data"))
    there = data.to(device)
    specs = [replace(spec, seed=seed, lr=spec.lr * (1 + seed)) for seed in range(LANES)]
    told: list[str] = []

    def stacked(record: bool) -> list[list[Record]]:
        found: list[list[Record]] = [[] for _ in specs]
        networks = [components().build(lane, data).to(device) for lane in specs]
        for records in train_stack(
            specs, networks, [there] * LANES, tell=told.append, options=StackOptions(record=record)
        ):
            for lane, item in records:
                found[lane].append(item)
        return found

    recorded, as_they_come = stacked(True), stacked(False)
    alone = [list(train(lane, components().build(lane, data).to(device), there)) for lane in specs]
    apart = _apart(recorded, alone)
    wrong = [
        *(["recorded steps have other bits"] if recorded != as_they_come else []),
        *(["too far from the reference"] if not apart <= ALLOWED[precision] else []),
        *([told[0]] if told else []),
    ]
    return {
        "model": model,
        "norm": norm,
        "precision": precision,
        "recorded": told[0] if told else ("yes" if device.type == "cuda" else "not on this device"),
        "same bits as uncaptured": "yes" if recorded == as_they_come else "NO",
        "apart from uncaptured": _apart(recorded, as_they_come),
        "apart from reference": apart,
        "wrong": "; ".join(wrong),
    }


def _apart(ours: list[list[Record]], theirs: list[list[Record]]) -> float:
    """The largest relative difference of the losses; infinite if the records do not correspond."""
    worst = 0.0
    for mine, others in zip(ours, theirs, strict=True):
        if [type(item) for item in mine] != [type(item) for item in others]:
            return float("inf")
        for one, other in zip(mine, others, strict=True):
            for name in (field.name for field in fields(one) if field.name.endswith("_loss")):
                value, expected = getattr(one, name), getattr(other, name)
                if value is not None and expected is not None:
                    worst = max(worst, abs(value - expected) / max(abs(expected), 1e-12))
    return worst
