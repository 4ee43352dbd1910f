import pytest

from bnbench.analysis.targets import derive_targets, parse_targets
from bnbench.errors import InvalidRequest


def test_fractions_and_percent() -> None:
    assert parse_targets(["95%", "0.9", " 97.5 %", 0.95]) == (0.9, 0.95, 0.975)


@pytest.mark.parametrize("text", ["95", "0", "-1%", "high", "nan", "101%", "5e-324", ""])
def test_what_is_no_accuracy_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="must be an accuracy above 0 and at most 1"):
        parse_targets([text])


def test_derived_targets_are_whole_percents_above_chance() -> None:
    assert derive_targets(0.972, 0.1) == (0.92, 0.96)
    assert derive_targets(1.0, 0.1) == (0.95, 0.99)
    assert derive_targets(0.105, 0.1) == ()
