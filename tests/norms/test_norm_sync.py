"""Synchronized batch normalization in two real processes, against batch normalization of their batches together."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from bnbench.errors import Impossible
from bnbench.norms import NORMS

C = 3
SIZES = (5, 2)
STEPS = 3


def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(step)
    x, direction = torch.randn(2, sum(SIZES), C, 2, 2, dtype=torch.float64, generator=rng)
    return 3 * x + 1, direction


def parts(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    return tensor.split(SIZES)[rank]


def steps(norm: nn.Module, rank: int | None) -> list[torch.Tensor]:
    """Outputs and gradients of the input at each step, then of the parameters, then buffers and an evaluation."""
    found = []
    for step in range(STEPS):
        x, direction = (tensor if rank is None else parts(tensor, rank) for tensor in draw(step))
        x.requires_grad_()
        y = norm(x)
        (y * direction).sum().backward()
        found += [y.detach(), x.grad]
    parameters = [norm.weight.grad, norm.bias.grad]
    norm.eval()
    x = draw(STEPS)[0]
    return [*found, norm(x if rank is None else parts(x, rank)).detach(), *parameters, *norm.buffers()]


def join(rank: int, folder: Path) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    norm = NORMS["sync"](C).double()
    nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(9))
    torch.save(steps(norm, rank), folder / f"{rank}.pt")
    lonely = "no refusal"
    try:
        NORMS["sync"](C)(torch.randn(0 if rank else 1, C))
    except Impossible as reason:
        lonely = str(reason)
    (folder / f"{rank}.txt").write_text(lonely)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gloo")
    multiprocessing.spawn(join, (folder,), nprocs=2)
    return folder


def test_two_processes_normalize_as_one(meeting: Path):
    whole = nn.BatchNorm2d(C).double()
    nn.init.uniform_(whole.weight, generator=torch.Generator().manual_seed(9))
    expected = steps(whole, None)
    ranks = [torch.load(meeting / f"{rank}.pt") for rank in range(2)]
    assert len(expected) == len(ranks[0]) == 2 * STEPS + 1 + 2 + 3
    for position, tensor in enumerate(expected):
        for rank in range(2):
            mine = ranks[rank][position]
            if position <= 2 * STEPS:
                torch.testing.assert_close(mine, parts(tensor, rank), rtol=1e-10, atol=1e-10)
            elif position > 2 * STEPS + 2:
                torch.testing.assert_close(mine, tensor, rtol=1e-10, atol=1e-10)
        if 2 * STEPS < position <= 2 * STEPS + 2:
            torch.testing.assert_close(ranks[0][position] + ranks[1][position], tensor, rtol=1e-10, atol=1e-10)


def test_one_value_in_all_processes_is_refused_in_each(meeting: Path):
    for rank in range(2):
        assert "use a batch of at least 2 in all processes" in (meeting / f"{rank}.txt").read_text()
