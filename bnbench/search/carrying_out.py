"""A search carried out: one plan after another is trained and learned from."""

from __future__ import annotations

from collections.abc import Callable

from bnbench import session
from bnbench.search.course import Course


def carry_out(
    course: Course,
    plan: session.Plan,
    train: Callable[[session.Plan], session.Summary],
    tell: Callable[[Course], None] = lambda course: None,
    fail_fast: bool = False,
) -> session.Summary:
    """Train what a search comes to, from a first plan on, and say how all of its runs ended.

    Args:
        train: trains the pending runs of a plan.
        tell: is called after each plan, with what is known then.
        fail_fast: stop at the first plan with a failure.
    """
    statuses: dict[str, str] = {}
    counted: set[str] = set()
    trained, interrupted, saves = 0, False, plan.save_weights
    current: session.Plan | None = plan
    while current is not None:
        summary = train(current)
        statuses |= summary.statuses
        trained += max(summary.trained - len(counted & current.pending.keys()), 0)  # at a later rung again
        counted |= current.pending.keys()
        interrupted = summary.interrupted
        if interrupted or summary.given_up or (fail_fast and summary.failures):
            break  # its trials are chosen again, and what was trained of them counts then
        course.learn(current)
        tell(course)
        current = course.go_on()
        current = session.saving_weights(current) if current is not None and saves else current
    return session.Summary(plan.folder, statuses, trained, interrupted)
