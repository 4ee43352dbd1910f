import pytest
import torch

from bnbench.spec import Constant, Cosine, OneCycle, Schedule, Step
from bnbench.training.schedule import multiplier


def multipliers(schedule: Schedule, steps: int) -> list[float]:
    return [multiplier(schedule, step, steps) for step in range(steps)]


def torch_multipliers(make, steps: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_cosine_is_torchs():
    expected = torch_multipliers(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=0.1), 40)
    assert multipliers(Cosine(warmup=0.0, final=0.1), 40) == pytest.approx(expected, abs=1e-12)


def test_step_is_torchs_multistep():
    expected = torch_multipliers(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[20, 30], gamma=0.1), 40)
    assert multipliers(Step(warmup=0.0, milestones=(0.5, 0.75), gamma=0.1), 40) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("percent", [7, 14, 28, 55, 56, 57])
def test_a_milestone_that_is_a_whole_step_is_that_step(percent: int):
    """Also where the product of share and steps is a little above it in floating point."""
    factors = multipliers(Step(warmup=0.0, milestones=(percent / 100,), gamma=0.1), 100)
    assert factors == pytest.approx([1.0] * percent + [0.1] * (100 - percent))


def test_constant_is_one():
    assert multipliers(Constant(warmup=0.0), 5) == [1.0] * 5


def test_one_cycle_turns_at_its_peak_and_is_linear_both_ways():
    factors = multipliers(OneCycle(start=0.1, peak=0.25, final=0.0), 100)
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[25] == 1.0
    assert factors[10] == pytest.approx(0.1 + 0.9 * 10 / 25)
    assert factors[99] == pytest.approx(1 / 75)


@pytest.mark.parametrize("schedule", [Constant(0.1), Cosine(0.1, 0.0), Step(0.1, (0.5,), 0.1)])
def test_warmup_rises_linearly_and_never_starts_at_zero(schedule: Schedule):
    plain = multipliers(type(schedule)(**{**_fields(schedule), "warmup": 0.0}), 100)
    ratios = [warmed / full for warmed, full in zip(multipliers(schedule, 100), plain, strict=True)]
    assert ratios[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert ratios[10:] == pytest.approx([1.0] * 90)


def _fields(schedule: Schedule) -> dict[str, object]:
    return {name: getattr(schedule, name) for name in type(schedule).__dataclass_fields__}
