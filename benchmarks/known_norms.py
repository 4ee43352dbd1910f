"""``python -m benchmarks.known_norms``: comparisons of norms whose differences from batch normalization are known.

A copy of it, which differs in its initial values and the order of its data only, differs in nothing: what a comparison
calls better or worse is false. Many replicates are trained once, and each comparison has some of them, drawn at random.
A planted difference is to be found by the questions that it is about. The figures of docs/comparisons.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.real_runs import dealt, wrong
from bnbench import comparison
from bnbench.comparison import Arm, Asked
from bnbench.comparison.views import OUTCOMES
from bnbench.study import Findings, Place, Row, execute, run_study
from bnbench.study.questions import load_questions, question_names
from bnbench.study.scorecards import decided

PLUGIN = Path(__file__).with_name("planted_norms.py")
BATCH = Arm("batch", ("norm=batch",))
COPY = Arm("copy", ("norm=batch",))
PLANTED = ("blunt", "steep")


def asked(arms: Sequence[Arm], replicates: int, paired: bool) -> list[Asked]:
    """Every question of each arm but the last, against the last."""
    pairs = [(arm.name, arms[-1].name) for arm in arms[:-1]]
    questions = comparison.ask(load_questions(question_names()), arms, pairs, "cpu")
    sizes = {one.name: replace(one.study.scales["cpu"], seeds=replicates) for one in questions}
    return [replace(one, study=replace(one.study, paired=paired, scales={"cpu": sizes[one.name]})) for one in questions]


def trained(one: Asked, place: Place) -> Findings:
    """All replicates of a question; those that are there already are not trained again."""
    findings = run_study(one.study, "cpu", place, lambda study, part, plan: execute(study, plan, None))
    print(f"trained: {one.heads}", flush=True)
    return findings


def rows_of(questions: Sequence[Findings]) -> list[Row]:
    """The verdicts of a comparison, adjusted for all of them."""
    family = sum(len(findings.study.claims) for findings in questions)
    return [row for findings in questions for row in decided(findings, family)]


def show_copies(folder: Path, pool: int, size: int, amount: int) -> None:
    """How often a copy is called better or worse, by reading and by comparison."""
    place = Place(folder / "copies", folder / "data")
    findings = [trained(one, place) for one in asked([COPY, BATCH], pool, paired=False)]
    random = np.random.default_rng(0)
    hands = [random.choice(pool, size, replace=False).tolist() for _ in range(amount)]
    comparisons = [rows_of([dealt(one, hand) for one in findings]) for hand in hands]
    print(f"\nA copy of batch normalization: {amount} comparisons of {size} replicates, drawn from {pool}\n")
    print("| reading | better or worse | no difference | inconclusive |\n|---|--:|--:|--:|")
    for position, row in enumerate(comparisons[0]):
        counts = Counter(rows[position].decision.verdict for rows in comparisons)
        false = counts["supported"] + counts["contradicted"]
        reading = row.claim.name.partition(":")[0]
        print(f"| {row.study}, {reading} | {false} | {counts['no difference']} | {counts['inconclusive']} |")
    print(f"\ncomparisons with any false verdict: {sum(any(map(wrong, rows)) for rows in comparisons)} of {amount}\n")


def show_planted(folder: Path, replicates: int) -> None:
    """The verdicts on norms with a planted difference."""
    place = Place(folder / "planted", folder / "data", PLUGIN)
    arms = [*comparison.read_arms(PLANTED, place.components), BATCH]
    rows = rows_of([trained(one, place) for one in asked(arms, replicates, paired=True)])
    words: dict[str, dict[str, str]] = {}
    for row in rows:
        reading = f"{row.study}, {row.claim.name.partition(':')[0]}"
        words.setdefault(reading, {})[row.claim.compare[0]] = f"{OUTCOMES[row.decision.verdict]} ({row.effect:.3g})"
    print(f"\nPlanted differences, {replicates} replicates\n")
    print("| reading | " + " | ".join(PLANTED) + " |\n|---" + "|---" * len(PLANTED) + "|")
    for reading, by_arm in words.items():
        print(_line(reading, by_arm))


def _line(reading: str, by_arm: Mapping[str, str]) -> str:
    return f"| {reading} | " + " | ".join(by_arm.get(arm, "-") for arm in PLANTED) + " |"


def main(
    folder: Annotated[Path, typer.Option(help="Where the runs are kept.")] = Path("results/known"),
    pool: Annotated[int, typer.Option(help="Replicates that are trained of the copy.")] = 44,
    size: Annotated[int, typer.Option(help="Replicates of a comparison.")] = 22,
    amount: Annotated[int, typer.Option(help="Comparisons of the copy.")] = 20,
) -> None:
    """Print the verdicts on a copy and on planted differences."""
    show_copies(folder, pool, size, amount)
    show_planted(folder, size)


if __name__ == "__main__":
    typer.run(main)
