"""``python -m benchmarks.real_runs``: how often verdicts on real runs are wrong, where the truth is known.

An arm against a copy of itself, which differs in its initial values and the order of its data only, has no effect; one
with a large ``eps`` has. Many replicates of one study are trained once, and dealt out as studies of few replicates. The
figures of docs/statistics.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from bnbench.study import Findings, Place, Row, Scale, ScaleName, Study, StudyClaim, execute, load, run_study, scorecard
from bnbench.study.definition import ONLY_CELL
from bnbench.study.evaluation_measures import FinalAccuracy, StepsToTarget
from bnbench.study.measure import Measure, Tables

FIXED = ("dataset=digits", "model=mlp", "model.depth=2", "epochs=5", "split.validation=0.2", "evaluate.unit=steps")
CELLS: dict[str, tuple[str, ...]] = {"batch_16": ("batch_size=16",), "batch_64": ("batch_size=64",)}
LR = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
SIZES = (10, 20, 40)
SPLITS = 7
"""Studies of one claim, each on splits of its own."""
DEALS = 200
"""Random studies of each size that coverage is counted over."""


def claim(name: str, measure: Measure, *cells: str, arm: str = "copy") -> StudyClaim:
    """A claim about an arm beside batch normalization."""
    ratio = isinstance(measure, StepsToTarget)
    return StudyClaim(
        name,
        f"{name} differs.",
        measure,
        (arm, "batch"),
        "higher",
        1.1 if ratio else 0.01,
        cells,
        "ratio" if ratio else "difference",
    )


def a_a(replicates: int) -> Study:
    """Batch normalization against itself, each with seeds and learning rates of its own: five claims."""
    accuracy, steps = FinalAccuracy(), StepsToTarget(0.9)
    claims = (
        claim("accuracy_16", accuracy, "batch_16"),
        claim("accuracy_64", accuracy, "batch_64"),
        claim("interaction", accuracy, "batch_16", "batch_64"),
        claim("steps_16", steps, "batch_16"),
        claim("steps_64", steps, "batch_64"),
    )
    arms = {"batch": ("norm=batch",), "copy": ("norm=batch",)}
    scales: dict[ScaleName, Scale] = {"cpu": Scale(LR, replicates)}
    return Study("a_a", "nobody", arms, CELLS, (*FIXED, "evaluate.every=4"), claims, scales, (), paired=False)


def planted(replicates: int) -> Study:
    """A large eps against a small one, at a learning rate at which it matters."""
    claims = (
        claim("accuracy", FinalAccuracy(), ONLY_CELL, arm="eps"),
        claim("steps", StepsToTarget(0.5), ONLY_CELL, arm="eps"),
    )
    arms = {"batch": ("norm=batch",), "eps": ("norm=batch", "norm.eps=0.3")}
    fixed = (*FIXED, "batch_size=64", "evaluate.every=1")
    scales: dict[ScaleName, Scale] = {"cpu": Scale((0.01,), replicates)}
    return Study("planted", "nobody", arms, {ONLY_CELL: ()}, fixed, claims, scales, ())


def on_splits(replicates: int) -> list[Study]:
    """Whether ghost statistics raise the accuracy on few images, each time on other splits of the data."""
    (study,) = load(["regularization"])
    claims = tuple(one for one in study.claims if one.name == "ghost")
    scales: dict[ScaleName, Scale] = {"cpu": replace(study.scales["cpu"], seeds=replicates)}
    return [
        replace(
            study,
            name=f"splits_{number}",
            fixed=(*study.fixed, f"split.seed={1000 * number}"),
            claims=claims,
            scales=scales,
            family="",
        )
        for number in range(SPLITS)
    ]


def trained(study: Study, folder: Path) -> Findings:
    """All replicates of a study; those that are there already are not trained again."""
    place = Place(folder / "results", folder / "data")
    return run_study(study, "cpu", place, lambda one, part, plan: execute(one, plan, None))


def dealt(findings: Findings, chosen: Sequence[int]) -> Findings:
    """A study of some of the replicates."""
    number = {int(pair): position for position, pair in enumerate(chosen)}

    def picked(runs: pd.DataFrame) -> pd.DataFrame:
        return runs[runs["pair"].isin(number)].assign(pair=lambda table: table["pair"].map(number))

    def part(tables: Tables) -> Tables:
        return tables if tables.runs.empty else Tables(picked(tables.runs), tables.metrics, tables.probes)

    few = replace(findings.study.scales["cpu"], seeds=len(number))
    study = replace(findings.study, scales={"cpu": few})
    return replace(findings, study=study, tables=part(findings.tables), curves=part(findings.curves))


def deals(total: int, size: int, amount: int | None, random: np.random.Generator) -> Iterator[Sequence[int]]:
    """Replicates of each study: all dealt out once, or so many random hands."""
    if amount is None:
        yield from (range(start, start + size) for start in range(0, total - size + 1, size))
    else:
        yield from (random.choice(total, size, replace=False).tolist() for _ in range(amount))


def verdicts(findings: Findings, total: int, size: int) -> list[list[Row]]:
    """The rows of each study that all replicates make, if they are dealt out once."""
    return [scorecard([dealt(findings, hand)]) for hand in deals(total, size, None, np.random.default_rng(0))]


def covered(findings: Findings, total: int, size: int) -> dict[str, float]:
    """Share of random studies whose interval holds no effect, by claim."""
    held: Counter[str] = Counter()
    for hand in deals(total, size, DEALS, np.random.default_rng(size)):
        for row in scorecard([dealt(findings, hand)]):
            neutral = 1.0 if row.claim.contrast == "ratio" else 0.0
            held[row.claim.name] += row.low <= neutral <= row.high
    return {name: count / DEALS for name, count in held.items()}


def wrong(row: Row) -> bool:
    """A verdict for or against a claim that has no effect."""
    return row.decision.verdict in ("supported", "contradicted")


def main(
    folder: Annotated[Path, typer.Option(help="Where the runs are kept.")] = Path("results/calibration"),
    replicates: Annotated[int, typer.Option(min=max(SIZES), help="Trained of each study.")] = 400,
) -> None:
    """Print false verdicts and coverage of an arm against its copy, and how often a planted effect is found."""
    findings = trained(a_a(replicates), folder)
    studies = verdicts(findings, replicates, 10)
    print(f"An arm against itself: {len(studies)} studies of five claims, 10 replicates each\n")
    print("| claim | false verdicts | " + " | ".join(f"covered, {size}" for size in SIZES) + " |")
    print("|---|" + "--:|" * (1 + len(SIZES)))
    coverage = [covered(findings, replicates, size) for size in SIZES]
    for position, name in enumerate(coverage[0]):
        false = sum(wrong(rows[position]) for rows in studies)
        print(
            f"| {name} | {false} of {len(studies)} | " + " | ".join(f"{100 * one[name]:.1f}" for one in coverage) + " |"
        )
    print(f"\nstudies with any false verdict: {sum(any(map(wrong, rows)) for rows in studies)} of {len(studies)}\n")
    rows = [scorecard([trained(one, folder)])[0] for one in on_splits(10)]
    print(f"One claim (regularization, ghost) on the splits of {SPLITS} studies, 10 replicates each\n")
    print("| effect, points | 95% interval | verdict |\n|--:|---|---|")
    for row in rows:
        print(f"| {100 * row.effect:+.2f} | {100 * row.low:+.2f} to {100 * row.high:+.2f} | {row.decision.verdict} |")
    spread = float(np.std([row.effect for row in rows], ddof=1))
    width = float(np.mean([row.high - row.low for row in rows]))
    print(f"\nstandard deviation of the effects x 3.92: {392 * spread:.2f} points; mean width: {100 * width:.2f}\n")
    found = verdicts(trained(planted(replicates), folder), replicates, 10)
    print("A planted effect (eps = 0.3), 10 replicates\n\n| claim | verdicts |\n|---|---|")
    for position, row in enumerate(found[0]):
        counts = Counter(rows[position].decision.verdict for rows in found)
        print(f"| {row.claim.name} | {', '.join(f'{verdict}: {count}' for verdict, count in counts.most_common())} |")


if __name__ == "__main__":
    typer.run(main)
