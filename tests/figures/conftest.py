import pytest

from bnbench.figures import Figure

from .made_up import Sweep, figures_of, make


@pytest.fixture(scope="session")
def sweep() -> Sweep:
    return make()


@pytest.fixture(scope="session")
def figures(sweep: Sweep) -> dict[str, Figure]:
    """All figures of the made-up sweep: each has something to show."""
    drawn = figures_of(sweep)
    missing = {name: reason for name, reason in drawn.items() if isinstance(reason, str)}
    assert not missing
    return {name: figure for name, figure in drawn.items() if isinstance(figure, Figure)}
